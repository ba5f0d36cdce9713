// Command collector is an OpenTelemetry Collector of the components that deploy/components configures, at the
// version of the image there: the tests run the configurations in it.
package main

import (
	"os"

	"github.com/open-telemetry/opentelemetry-collector-contrib/extension/healthcheckextension"
	"github.com/open-telemetry/opentelemetry-collector-contrib/extension/storage/filestorage"
	"github.com/open-telemetry/opentelemetry-collector-contrib/receiver/filelogreceiver"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/confmap"
	"go.opentelemetry.io/collector/confmap/provider/envprovider"
	"go.opentelemetry.io/collector/confmap/provider/fileprovider"
	"go.opentelemetry.io/collector/confmap/provider/yamlprovider"
	"go.opentelemetry.io/collector/exporter"
	"go.opentelemetry.io/collector/exporter/otlphttpexporter"
	"go.opentelemetry.io/collector/extension"
	"go.opentelemetry.io/collector/otelcol"
	"go.opentelemetry.io/collector/processor"
	"go.opentelemetry.io/collector/processor/batchprocessor"
	"go.opentelemetry.io/collector/processor/memorylimiterprocessor"
	"go.opentelemetry.io/collector/receiver"
	"go.opentelemetry.io/collector/receiver/otlpreceiver"
	"go.opentelemetry.io/collector/service/telemetry/otelconftelemetry"
)

func main() {
	settings := otelcol.CollectorSettings{
		BuildInfo: component.BuildInfo{Command: "collector", Description: "the parts that agentberth uses"},
		Factories: parts,
		ConfigProviderSettings: otelcol.ConfigProviderSettings{
			ResolverSettings: confmap.ResolverSettings{
				ProviderFactories: []confmap.ProviderFactory{
					envprovider.NewFactory(), fileprovider.NewFactory(), yamlprovider.NewFactory(),
				},
				DefaultScheme: "env",
			},
		},
	}
	if otelcol.NewCommand(settings).Execute() != nil { // it has said why
		os.Exit(1)
	}
}

func parts() (otelcol.Factories, error) {
	extensions := []extension.Factory{healthcheckextension.NewFactory(), filestorage.NewFactory()}
	receivers := []receiver.Factory{filelogreceiver.NewFactory(), otlpreceiver.NewFactory()}
	processors := []processor.Factory{memorylimiterprocessor.NewFactory(), batchprocessor.NewFactory()}
	exporters := []exporter.Factory{otlphttpexporter.NewFactory()}

	found := otelcol.Factories{Telemetry: otelconftelemetry.NewFactory()}
	var err error
	if found.Extensions, err = otelcol.MakeFactoryMap(extensions...); err != nil {
		return found, err
	}
	if found.Receivers, err = otelcol.MakeFactoryMap(receivers...); err != nil {
		return found, err
	}
	if found.Processors, err = otelcol.MakeFactoryMap(processors...); err != nil {
		return found, err
	}
	found.Exporters, err = otelcol.MakeFactoryMap(exporters...)
	return found, err
}
