package main

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"runtime/debug"

	"github.com/asynkron/protoactor-go/cluster"
	"google.golang.org/protobuf/proto"
)

type vectors struct {
	About    string       `json:"about"`
	Version  string       `json:"protoactorGo"`
	Defaults defaults     `json:"defaults"`
	Keys     keyNames     `json:"keys"`
	Messages []vector     `json:"messages"`
	Hashes   []hashVector `json:"topologyHashes"`
}

type vector struct {
	Name string `json:"name"`
	Type string `json:"type"`
	// The JSON by protojson.
	JSON json.RawMessage `json:"json"`
	// The JSON without members without values, negative zero and the like; left out if it is equal.
	Lean json.RawMessage `json:"lean,omitempty"`
	// The binary form, deterministic, in base64.
	Binary string `json:"binary"`
}

type hashVector struct {
	IDs  []string `json:"ids"`
	Hash string   `json:"hash"`
}

// The default settings by Hearsay's names; times in milliseconds.
type defaults struct {
	GossipInterval       int64  `json:"gossipInterval"`
	GossipRequestTimeout int64  `json:"gossipRequestTimeout"`
	GossipFanOut         int    `json:"gossipFanOut"`
	GossipMaxSend        int    `json:"gossipMaxSend"`
	HeartbeatExpiration  int64  `json:"heartbeatExpiration"`
	GossipActorName      string `json:"gossipActorName"`
}

type keyNames struct {
	Topology       string `json:"topology"`
	Heartbeat      string `json:"heartbeat"`
	GracefullyLeft string `json:"gracefullyLeft"`
}

func write(io.Reader) (any, error) {
	config := cluster.Configure("defaults", nil, nil, nil)
	result := vectors{
		About:   "Written by tests/protoactor/vectors with protoactor-go's own types and protojson; not to be edited.",
		Version: version(),
		Defaults: defaults{
			config.GossipInterval.Milliseconds(), config.GossipRequestTimeout.Milliseconds(), config.GossipFanOut,
			config.GossipMaxSend, config.HeartbeatExpiration.Milliseconds(), cluster.DefaultGossipActorName,
		},
		Keys: keyNames{cluster.TopologyKey, cluster.HeartbeatKey, cluster.GracefullyLeftKey},
	}
	for _, each := range samples() {
		result.Messages = append(result.Messages, each.vector())
	}
	for _, ids := range idLists() {
		members := cluster.Members{}
		for _, id := range ids {
			members = append(members, &cluster.Member{Id: id})
		}
		result.Hashes = append(result.Hashes, hashVector{ids, fmt.Sprint(cluster.TopologyHash(members))})
	}
	return result, nil
}

func (s sample) vector() vector {
	binary, err := proto.MarshalOptions{Deterministic: true}.Marshal(s.message)
	if err != nil {
		panic(err)
	}
	made := vector{
		Name:   s.name,
		Type:   string(s.message.ProtoReflect().Descriptor().FullName()),
		JSON:   toJSON(s.message),
		Binary: base64.StdEncoding.EncodeToString(binary),
	}
	if request, ok := s.message.(*cluster.GossipRequest); ok && s.earlier {
		made.JSON = toEarlierJSON(request)
	}
	if s.lean != nil {
		made.Lean = toJSON(s.lean)
	}
	return made
}

func version() string {
	build, _ := debug.ReadBuildInfo()
	for _, module := range build.Deps {
		if module.Path == "github.com/asynkron/protoactor-go" {
			return module.Version
		}
	}
	return "unknown"
}

func idLists() [][]string {
	many := []string{}
	for i := range 1000 {
		many = append(many, fmt.Sprintf("member-%d", i*7919%1000))
	}
	return [][]string{
		{},
		{"a"},
		{"a", "b"},
		{"b", "a"},
		{"ab"},
		{"a", "a"},
		{"Z", "a", "_", "0", "~"},
		{"22Oq6GV9kdHYWgEmZBqFVD", "1xRjNbKQm8uMWzsAu3PsEy", "9Ld5S5bXUQGpYxfS9VyJqP"},
		{"0123456789abcde"},
		{"0123456789abcdef"},
		{"0123456789abcdef0"},
		{"héron", "ibis", "émeu", "エミュー", "鶴"},
		{"\uffff", "\U00010000", "\ue000", "\U0001f9a9"},
		many,
	}
}
