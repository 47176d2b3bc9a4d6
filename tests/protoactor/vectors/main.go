// Prints results of protoactor-go as JSON: its messages as test vectors, its reading of messages written by Hearsay,
// and the state of its gossip actors after a history.
package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
)

const usage = `vectors write    writes the test vectors
vectors check    reads messages written by Hearsay; prints the differences from the intended content
vectors replay   reads histories; prints the results of protoactor-go's gossip actors`

func main() {
	commands := map[string]func(input io.Reader) (any, error){"write": write, "check": check, "replay": replay}
	if len(os.Args) != 2 || commands[os.Args[1]] == nil {
		fmt.Fprintln(os.Stderr, usage)
		os.Exit(2)
	}
	result, err := commands[os.Args[1]](os.Stdin)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(result); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Stdout.Write(text.Bytes())
}
