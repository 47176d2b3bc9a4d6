// Package line is the protocol between the benchmark and a member: one JSON object per line. The benchmark writes
// commands to the standard input, the member writes events to the standard output, each with the machine's clock.
package line

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"sync"
	"time"
)

// Options are the JSON in the program's only argument.
type Options struct {
	ID               string   `json:"id"`
	Port             int      `json:"port"`
	Seeds            []string `json:"seeds"`
	Members          []Member `json:"members"`
	GossipIntervalMs int      `json:"gossipIntervalMs"`
	FanOut           int      `json:"fanOut"`
}

// Member is one of all members of the cluster, for programs that are given the whole list.
type Member struct {
	ID   string `json:"id"`
	Port int    `json:"port"`
}

var (
	mutex  sync.Mutex
	output = os.Stdout
)

// Parse reads the options. Libraries that print to the standard output print to the standard error afterwards.
func Parse() Options {
	os.Stdout = os.Stderr
	var options Options
	if len(os.Args) != 2 {
		Fail(fmt.Errorf("expected one argument, the options as JSON; got %d", len(os.Args)-1))
	}
	if err := json.Unmarshal([]byte(os.Args[1]), &options); err != nil {
		Fail(err)
	}
	return options
}

// Report writes one event. The time is taken first, so that a wait for the output does not count.
func Report(event string, subject any) {
	at := float64(time.Now().UnixMicro()) / 1000
	text, err := json.Marshal(map[string]any{event: subject, "at": at})
	if err != nil {
		Fail(err)
	}
	mutex.Lock()
	defer mutex.Unlock()
	fmt.Fprintf(output, "%s\n", text)
}

// Follow runs the commands until the standard input ends. The process ends with it, so none outlives the benchmark.
func Follow(set func(value string)) {
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		var command struct {
			Set *string `json:"set"`
		}
		if err := json.Unmarshal(lines.Bytes(), &command); err != nil {
			Fail(err)
		}
		if command.Set == nil {
			Fail(fmt.Errorf("unknown command %s", lines.Text()))
		}
		Report("set", *command.Set)
		set(*command.Set)
	}
	os.Exit(0)
}

// Fail ends the process with an error.
func Fail(err error) {
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}
