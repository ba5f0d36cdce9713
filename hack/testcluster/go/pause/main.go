// Command pause holds a Pod's namespaces open until it is told to end. It is also PID 1 of its container,
// and reaps nothing, because the test cluster's Pods do not share a PID namespace.
package main

import (
	"os"
	"os/signal"
	"syscall"
)

func main() {
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM, syscall.SIGINT)
	<-stop
}
