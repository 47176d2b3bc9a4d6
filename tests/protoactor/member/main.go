// A member of a protoactor-go cluster for tests and examples with members of other kinds. It runs commands from the
// standard input and writes the answers to the standard output, both as lines of JSON. It ends with its input, so that
// it never outlives the process that started it.
package main

import (
	"bufio"
	"encoding/base64"
	"encoding/json"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"sort"
	"strings"
	"sync"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/asynkron/protoactor-go/cluster"
	"github.com/asynkron/protoactor-go/cluster/clusterproviders/automanaged"
	"github.com/asynkron/protoactor-go/cluster/clusterproviders/etcd"
	"github.com/asynkron/protoactor-go/cluster/identitylookup/disthash"
	"github.com/asynkron/protoactor-go/remote"
	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// One line of the standard input.
type command struct {
	Op  string `json:"op"`
	Key string `json:"key"`
	// The key within a map.
	MapKey string          `json:"mapKey"`
	Value  json.RawMessage `json:"value"`
	Text   *string         `json:"text"`
	// The kind and the identity of an actor.
	Kind     string `json:"kind"`
	Identity string `json:"identity"`
	// The new list of members, with -manual.
	Members cluster.Members `json:"members"`
}

// An entry. One of Value, Text and Bytes is set; none of them if the entry has no value.
type entry struct {
	Number int64   `json:"number"`
	Stamp  int64   `json:"stamp"`
	Type   string  `json:"type,omitempty"`
	Value  any     `json:"value,omitempty"`
	Text   *string `json:"text,omitempty"`
	Bytes  string  `json:"bytes,omitempty"`
}

type member struct {
	*cluster.Cluster
	output *os.File
	mutex  sync.Mutex
	purged map[string]bool
	// The wrapped strings and JSON values that came over the event stream so far.
	heard []any
}

func main() {
	name := flag.String("cluster", "interop", "the cluster's name")
	port := flag.Int("port", 0, "the port of the remote")
	managePort := flag.Int("manage-port", 0, "the port of the automanaged provider")
	hosts := flag.String("hosts", "", "host:port of every member's automanaged provider, separated by commas")
	refresh := flag.Duration("refresh", time.Second, "the refresh interval of the automanaged provider")
	endpoint := flag.String("etcd", "", "host:port of an etcd, whose provider replaces the automanaged one")
	manual := flag.Bool("manual", false, "no discovery: the command list sets the members")
	purges := flag.Bool("purges", false, "drop the state of members that are not listed")
	kind := flag.String("kind", "", "a kind of actors that the member may activate (default: none)")
	id := flag.String("id", "", "the member's id (default: drawn by protoactor-go)")
	expiration := flag.Duration("expiration", 20*time.Second, "the heartbeat expiration")
	verbose := flag.Bool("verbose", false, "log of protoactor-go to the standard error")
	flag.Parse()
	// The provider's web server also prints to the standard output.
	output := os.Stdout
	os.Stdout = os.Stderr

	level := slog.LevelError + 1
	if *verbose {
		level = slog.LevelDebug
	}
	system := actor.NewActorSystem(actor.WithLoggerFactory(func(*actor.ActorSystem) *slog.Logger {
		return slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: level}))
	}))
	if *id != "" {
		system.ID = *id
	}
	var provider cluster.ClusterProvider
	if *manual {
		provider = manualProvider{}
	} else if *endpoint == "" {
		provider = automanaged.NewWithConfig(*refresh, *managePort, strings.Split(*hosts, ",")...)
	} else {
		var err error
		if provider, err = etcd.NewWithConfig("/protoactor", clientv3.Config{Endpoints: []string{*endpoint}}); err != nil {
			panic(err)
		}
	}
	config := cluster.Configure(*name, provider, disthash.New(), remote.Configure("127.0.0.1", *port),
		append(withActorsOf(*kind), cluster.WithHeartbeatExpiration(*expiration))...)
	self := &member{Cluster: cluster.New(system, config), output: output, purged: map[string]bool{}}
	system.EventStream.Subscribe(self.hear)
	self.StartMember()
	if *purges {
		self.purgeUnlisted()
	}
	self.say(map[string]any{"event": "started", "id": system.ID, "address": system.Address()})

	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		var asked command
		if err := json.Unmarshal(lines.Bytes(), &asked); err != nil {
			self.say(map[string]any{"error": err.Error()})
			continue
		}
		self.say(self.do(asked))
		if asked.Op == "leave" {
			return
		}
	}
}

func (m *member) do(asked command) any {
	switch asked.Op {
	case "set":
		value, err := valueOf(asked)
		if err == nil {
			err = m.Gossip.SetStateRequest(asked.Key, value)
		}
		return outcome(err)
	case "get":
		state, err := m.Gossip.GetState(asked.Key)
		if err != nil {
			return outcome(err)
		}
		entries := map[string]entry{}
		for id, held := range state {
			entries[id] = entryOf(held)
		}
		return map[string]any{"state": entries}
	case "setMap":
		value, err := valueOf(asked)
		if err == nil {
			m.Gossip.SetMapState(asked.Key, asked.MapKey, value)
		}
		return outcome(err)
	case "removeMap":
		m.Gossip.RemoveMapState(asked.Key, asked.MapKey)
		return outcome(nil)
	case "ownMap":
		items := map[string]any{}
		for _, key := range m.Gossip.GetMapKeys(asked.Key) {
			items[key] = itemOf(m.Gossip.GetMapState(asked.Key, key))
		}
		return map[string]any{"items": items}
	case "members":
		ids := []string{}
		for _, each := range m.MemberList.Members().Members() {
			ids = append(ids, each.Id)
		}
		sort.Strings(ids)
		blocked := m.GetBlockedMembers().ToSlice()
		sort.Strings(blocked)
		hash := fmt.Sprint(m.MemberList.Members().TopologyHash())
		return map[string]any{"members": ids, "blocked": blocked, "topologyHash": hash, "purged": m.purgedKeys()}
	case "broadcast":
		value, err := valueOf(asked)
		if err == nil {
			m.MemberList.BroadcastEvent(value, false)
		}
		return outcome(err)
	case "heard":
		m.mutex.Lock()
		defer m.mutex.Unlock()
		return map[string]any{"heard": m.heard}
	case "activate":
		return m.activate(asked.Kind, asked.Identity)
	case "stop":
		return m.stop(asked.Kind, asked.Identity)
	case "counts":
		return m.counts()
	case "list":
		m.MemberList.UpdateClusterTopology(asked.Members)
		return outcome(nil)
	case "leave":
		m.Shutdown(true)
		return outcome(nil)
	default:
		return outcome(fmt.Errorf("unknown op %q", asked.Op))
	}
}

// Records the events of broadcasts: those that other members of this kind send, and packed ones.
func (m *member) hear(event any) {
	if packed, ok := event.(*anypb.Any); ok {
		event, _ = packed.UnmarshalNew()
	}
	m.mutex.Lock()
	defer m.mutex.Unlock()
	switch value := event.(type) {
	case *structpb.Value:
		m.heard = append(m.heard, value.AsInterface())
	case *wrapperspb.StringValue:
		m.heard = append(m.heard, value.Value)
	}
}

// A wrapped string for a text, a JSON value for anything else.
func valueOf(asked command) (proto.Message, error) {
	if asked.Text != nil {
		return wrapperspb.String(*asked.Text), nil
	}
	value := &structpb.Value{}
	return value, value.UnmarshalJSON(asked.Value)
}

func entryOf(held *cluster.GossipKeyValue) entry {
	told := entry{Number: held.SequenceNumber, Stamp: held.LocalTimestampUnixMilliseconds}
	if held.Value == nil {
		return told
	}
	told.Type = string(held.Value.MessageName())
	message, err := held.Value.UnmarshalNew()
	switch value := message.(type) {
	case *structpb.Value:
		told.Value = value.AsInterface()
	case *wrapperspb.StringValue:
		told.Text = &value.Value
	case *cluster.GossipMap:
		items := map[string]any{}
		for key, item := range value.Items {
			items[key] = itemOf(item)
		}
		told.Value = items
	default:
		told.Bytes = base64.StdEncoding.EncodeToString(held.Value.Value)
	}
	if err != nil {
		told.Type = held.Value.TypeUrl
	}
	return told
}

// An entry of a map: a JSON value or a wrapped string; nil for anything else.
func itemOf(item *anypb.Any) any {
	message, _ := item.UnmarshalNew()
	switch value := message.(type) {
	case *structpb.Value:
		return value.AsInterface()
	case *wrapperspb.StringValue:
		return value.Value
	}
	return nil
}

func outcome(err error) any {
	if err != nil {
		return map[string]any{"error": err.Error()}
	}
	return map[string]any{"ok": true}
}

func (m *member) say(what any) {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	line, err := json.Marshal(what)
	if err != nil {
		panic(err)
	}
	fmt.Fprintln(m.output, string(line))
}
