// Command dashboards holds files to Grafana's own schema of a dashboard, with the panels and queries of the plugins
// that come with it: an unknown field, a missing one or a value of another kind is an error.
package main

import (
	"errors"
	"fmt"
	"os"

	"github.com/grafana/grafana-foundation-sdk/go/cog"
	"github.com/grafana/grafana-foundation-sdk/go/cog/plugins"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
)

func main() {
	plugins.RegisterDefaultPlugins()
	good := true
	for _, file := range os.Args[1:] {
		if err := check(file); err != nil {
			good = false
			fmt.Fprintf(os.Stderr, "%s: %v\n", file, err)
		}
	}
	if !good {
		os.Exit(1)
	}
}

func check(file string) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	var found dashboard.Dashboard
	if err := found.UnmarshalJSONStrict(text); !empty(err) {
		return err
	}
	if err := found.Validate(); !empty(err) {
		return err
	}
	return nil
}

// empty tells whether err is nil, or the list of no errors that the module returns for a union.
func empty(err error) bool {
	var list cog.BuildErrors
	return err == nil || errors.As(err, &list) && len(list) == 0
}
