// Says in JSON what protoactor-go says: its messages as test vectors, what it makes of messages that were
// written elsewhere, and what its gossip actor comes to hold.
package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
)

const usage = `vectors write    writes the test vectors
vectors check    reads messages that were written elsewhere; says what is not as it was meant
vectors replay   reads histories; writes what protoactor-go's gossip actors make of them`

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
