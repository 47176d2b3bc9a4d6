package main

import (
	"fmt"
	"math"
	"strings"

	"github.com/asynkron/protoactor-go/cluster"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/emptypb"
	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/timestamppb"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

type sample struct {
	name    string
	message proto.Message
	// The message without empty members and the like; nil if it is equal.
	lean proto.Message
	// True: written with the earlier name of the member id's field.
	earlier bool
}

type values = map[string]*cluster.GossipKeyValue
type members = map[string]values

func state(of members) *cluster.GossipState {
	made := &cluster.GossipState{Members: map[string]*cluster.GossipMemberState{}}
	for id, values := range of {
		made.Members[id] = &cluster.GossipMemberState{Values: values}
	}
	return made
}

func request(id string, of members) *cluster.GossipRequest {
	return &cluster.GossipRequest{FromMemberId: id, State: state(of)}
}

// A request in which member a has these keys.
func keys(of values) *cluster.GossipRequest { return request("a", members{"a": of}) }

// A request in which member a has these values under key0, key1, …, with numbers from 1.
func all(messages ...proto.Message) *cluster.GossipRequest {
	made := values{}
	for i, message := range messages {
		made[fmt.Sprint("key", i)] = entry(int64(i+1), message)
	}
	return keys(made)
}

func entry(number int64, value proto.Message) *cluster.GossipKeyValue {
	return stamped(number, value, 1_700_000_000_000)
}

func stamped(number int64, value proto.Message, stamp int64) *cluster.GossipKeyValue {
	made := &cluster.GossipKeyValue{SequenceNumber: number, LocalTimestampUnixMilliseconds: stamp}
	if value != nil {
		made.Value = packed(value)
	}
	return made
}

func packed(message proto.Message) *anypb.Any {
	value := &anypb.Any{}
	// Deterministic, so that the vectors are always equal.
	if err := anypb.MarshalFrom(value, message, proto.MarshalOptions{Deterministic: true}); err != nil {
		panic(err)
	}
	return value
}

func value(of any) *structpb.Value {
	made, err := structpb.NewValue(of)
	if err != nil {
		panic(err)
	}
	return made
}

func heartbeat(counts map[string]int64) *cluster.MemberHeartbeat {
	return &cluster.MemberHeartbeat{ActorStatistics: &cluster.ActorStatistics{ActorCount: counts}}
}

var everyField = &cluster.ClusterTopology{
	TopologyHash: 12_345_678_901_234_567_890,
	Members: []*cluster.Member{
		{Host: "10.0.0.1", Port: 8090, Id: "a", Kinds: []string{"cart", "order"}},
		{Host: "fe80::1", Port: 65535, Id: "b"},
	},
	Joined:  []*cluster.Member{{Host: "10.0.0.1", Port: 8090, Id: "a", Kinds: []string{"cart"}}},
	Left:    []*cluster.Member{{Id: "c"}},
	Blocked: []string{"c", "d"},
}

func samples() []sample {
	return append(append(append(shapes(), kinds()...), extremes()...), refused()...)
}

// Requests and responses of every shape.
func shapes() []sample {
	everything := request("a", members{
		"a": {
			"heartbeat": entry(9, heartbeat(map[string]int64{"cart": 3, "order": 0})),
			"topology":  entry(4, everyField),
			"load":      entry(7, value(map[string]any{"cpu": 0.3, "up": true, "tags": []any{"x", nil}})),
			"gone":      entry(8, nil),
		},
		"b": {"left": entry(2, &emptypb.Empty{})},
	})
	many := members{}
	for i := range 60 {
		many[fmt.Sprint("member-", i)] = values{"n": entry(int64(i+1), value(float64(i)))}
	}
	long := values{}
	for i := range 100 {
		long[fmt.Sprint("key-", i)] = entry(int64(100-i), value(strings.Repeat("x", i)))
	}
	return []sample{
		{name: "a request with every field", message: everything},
		{name: "the same under the field's earlier name", message: everything, earlier: true},
		{name: "a response with every field", message: &cluster.GossipResponse{State: everything.State}},
		{name: "a request with no state", message: &cluster.GossipRequest{FromMemberId: "a"}},
		{
			name:    "a request with an empty state",
			message: request("a", members{}),
			lean:    &cluster.GossipRequest{FromMemberId: "a"},
		},
		{
			name:    "a request with members without values",
			message: request("a", members{"a": {}, "b": {"k": entry(1, value(1.0))}, "c": nil}),
			lean:    request("a", members{"b": {"k": entry(1, value(1.0))}}),
		},
		{name: "an empty response", message: &cluster.GossipResponse{}},
		{
			name:    "a response with an empty state",
			message: &cluster.GossipResponse{State: state(nil)},
			lean:    &cluster.GossipResponse{},
		},
		{name: "a request about many members", message: request("member-0", many)},
		{name: "a request with many keys", message: keys(long)},
		{name: "an entry without a stamp", message: keys(values{"k": stamped(1, value(true), 0)})},
		{name: "an entry without a value or a stamp", message: keys(values{"k": stamped(1, nil, 0)})},
	}
}

// Every type of value that occurs, and some that only Go knows.
func kinds() []sample {
	texts := all(
		value(""), value("plain"), value("\"\\/\b\f\n\r\t\x00\x1f\x7f"), value("<&>'\u2028\u2029\ufeff"),
		value("ä€😀\U0010ffff"), value("__proto__"), value("@type"), value("1e400"),
	)
	numbers := all(
		value(0.0), value(1.0), value(-1.0), value(0.1), value(1e20), value(1e21), value(1e-6), value(1e-7),
		value(float64(1<<53)), value(-float64(1<<53)), value(float64(1<<53+2)), value(math.MaxFloat64),
		value(-math.MaxFloat64), value(math.SmallestNonzeroFloat64), value(123456789.123456789),
		value(float64(math.MaxInt64)), value(5e-324), value(2.2250738585072014e-308),
	)
	deep := any("bottom")
	for range 60 {
		deep = []any{deep}
	}
	nested := all(
		value(nil), value(true), value(false), value([]any{}), value(map[string]any{}),
		value([]any{nil, false, 0.0, "", []any{}, map[string]any{}}),
		value(map[string]any{"": 1.0, "a b": map[string]any{"é\n": []any{[]any{}}}, "__proto__": 1.0, "10": 1.0, "9": 2.0}),
		value(deep),
	)
	structs, err := structpb.NewStruct(map[string]any{"cpu": 0.3, "none": nil})
	if err != nil {
		panic(err)
	}
	unknown := all(
		structs, &structpb.Struct{}, wrapperspb.String("text"), wrapperspb.String(""), wrapperspb.Bytes([]byte{0, 255}),
		wrapperspb.UInt64(math.MaxUint64), durationpb.New(1_500_000_000), &timestamppb.Timestamp{Seconds: 1_700_000_000, Nanos: 1},
		&cluster.GossipMap{Items: map[string]*anypb.Any{"x": packed(value("in a map")), "y": packed(structs)}},
		&cluster.ClusterIdentity{Identity: "i", Kind: "k"}, &cluster.IdentityHandover{ChunkId: -1, Final: true},
		packed(packed(wrapperspb.Int64(math.MinInt64))), &anypb.Any{}, value([]any{}).GetListValue(),
	)
	return []sample{
		{name: "an Empty", message: keys(values{"left": entry(1, &emptypb.Empty{})})},
		{name: "Values that are texts", message: texts},
		{name: "Values that are numbers", message: numbers},
		{name: "Values of every other kind", message: nested},
		{
			name: "minus nought", message: all(value(math.Copysign(0, -1))), lean: all(value(0.0)),
		},
		{name: "values of types that are known to Go only", message: unknown},
		{
			name: "keys and ids of any text",
			message: request("ä€😀", members{
				"ä€😀":         {"__proto__": entry(1, value(1.0)), "a.b[\"c\"]": entry(2, value(2.0))},
				"constructor": {"toString": entry(1, value(3.0)), "\n": entry(2, value(4.0))},
				"__proto__":   {"10": entry(2, value(5.0)), "9": entry(1, value(6.0))},
			}),
		},
		{name: "a heartbeat without statistics", message: all(&cluster.MemberHeartbeat{})},
		{
			name:    "a heartbeat with empty statistics",
			message: all(heartbeat(nil), heartbeat(map[string]int64{})),
			lean:    all(&cluster.MemberHeartbeat{}, &cluster.MemberHeartbeat{}),
		},
		{name: "heartbeats with counts", message: all(
			heartbeat(map[string]int64{"one": 1}),
			heartbeat(map[string]int64{"none": 0, "most": 1 << 52, "prototopic": 12, "__proto__": 1, "é": 2}),
		)},
		{name: "topologies", message: all(
			&cluster.ClusterTopology{}, everyField, &cluster.ClusterTopology{TopologyHash: 1},
			&cluster.ClusterTopology{TopologyHash: math.MaxUint64}, &cluster.ClusterTopology{TopologyHash: 1 << 63},
			&cluster.ClusterTopology{TopologyHash: 1<<53 + 1, Blocked: []string{"ä€😀"}},
			&cluster.ClusterTopology{Members: []*cluster.Member{{}, {Port: 1}, {Kinds: []string{"k"}}}},
		)},
	}
}

// Numbers at the limits of the accepted range.
func extremes() []sample {
	return []sample{
		{name: "sequence numbers up to the highest that is taken", message: keys(values{
			"first": entry(1, value(1.0)), "odd": entry(1<<51+1, value(1.0)), "last": entry(1<<52, value(1.0)),
		})},
		{name: "stamps of 64 bits", message: keys(values{
			"least": stamped(1, value(1.0), math.MinInt64), "before": stamped(2, value(1.0), -1),
			"most": stamped(3, value(1.0), math.MaxInt64),
		})},
	}
}

// Messages that protoactor-go can write but never does, and that Hearsay refuses (rule E2, and the limits).
func refused() []sample {
	one := func(made *cluster.GossipKeyValue) *cluster.GossipRequest { return keys(values{"k": made}) }
	return []sample{
		{name: "refused: no member's id", message: &cluster.GossipRequest{}},
		{name: "refused: an entry of zeros", message: one(&cluster.GossipKeyValue{})},
		{name: "refused: a sequence number below nought", message: one(entry(-1, value(1.0)))},
		{name: "refused: the least sequence number", message: one(entry(math.MinInt64, value(1.0)))},
		{name: "refused: a sequence number above 2^52", message: one(entry(1<<52+1, value(1.0)))},
		{name: "refused: the highest sequence number", message: one(entry(math.MaxInt64, value(1.0)))},
		{name: "refused: an empty key", message: keys(values{"": entry(1, value(1.0))})},
		{name: "refused: an empty id", message: request("a", members{"": {"k": entry(1, value(1.0))}})},
		{name: "refused: a value of no type", message: one(&cluster.GossipKeyValue{SequenceNumber: 1, Value: &anypb.Any{}})},
		{name: "refused: a count below nought", message: one(entry(1, heartbeat(map[string]int64{"k": -1})))},
		{name: "refused: the highest count", message: one(entry(1, heartbeat(map[string]int64{"k": math.MaxInt64})))},
		{
			name:    "refused: a port that is none",
			message: one(entry(1, &cluster.ClusterTopology{Members: []*cluster.Member{{Id: "a", Port: math.MaxInt32}}})),
		},
	}
}
