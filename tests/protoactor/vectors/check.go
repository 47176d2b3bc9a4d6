package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"reflect"
	"strconv"

	"github.com/asynkron/protoactor-go/cluster"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/structpb"
)

// A message written by Hearsay, with its intended content.
type written struct {
	Name string `json:"name"`
	Type string `json:"type"`
	Text string `json:"text"`
	// The name of the sample that it must equal.
	Sample string `json:"sample"`
	// Without a sample: the intended fields.
	MemberID string         `json:"memberId"`
	Entries  []writtenEntry `json:"entries"`
}

type writtenEntry struct {
	Member string          `json:"member"`
	Key    string          `json:"key"`
	Number int64           `json:"number"`
	Stamp  int64           `json:"stamp"`
	Type   string          `json:"type"`
	Value  json.RawMessage `json:"value"`
}

type checked struct {
	Messages int `json:"messages"`
	Entries  int `json:"entries"`
	// The number of requests with the earlier name of the field; no request can have both.
	Earlier int `json:"earlier"`
	// One sentence for each difference.
	Wrong []string `json:"wrong"`
}

func check(input io.Reader) (any, error) {
	var given []written
	if err := json.NewDecoder(input).Decode(&given); err != nil {
		return nil, err
	}
	known := map[string]sample{}
	for _, each := range samples() {
		known[each.name] = each
	}
	result := &checked{Wrong: []string{}}
	for _, each := range given {
		result.Messages++
		message, state, earlier, err := each.read()
		if earlier {
			result.Earlier++
		}
		switch {
		case err != nil:
			result.wrong(each, "it is not readable: %v", err)
		case each.Sample != "":
			meant := known[each.Sample]
			if meant.lean != nil {
				meant.message = meant.lean
			}
			if meant.message == nil || !proto.Equal(message, meant.message) {
				result.wrong(each, "it differs from the sample %q", each.Sample)
			}
		default:
			result.compare(each, message, state)
		}
	}
	return result, nil
}

func (w written) read() (message proto.Message, state *cluster.GossipState, earlier bool, err error) {
	if w.Type == "cluster.GossipRequest" {
		request, earlier, err := requestFromJSON([]byte(w.Text))
		return request, request.GetState(), earlier, err
	}
	response := &cluster.GossipResponse{}
	err = fromJSON([]byte(w.Text), response)
	return response, response.GetState(), false, err
}

func (c *checked) wrong(message written, format string, values ...any) {
	c.Wrong = append(c.Wrong, message.Name+": "+fmt.Sprintf(format, values...))
}

// Compares field by field.
func (c *checked) compare(meant written, message proto.Message, state *cluster.GossipState) {
	if request, ok := message.(*cluster.GossipRequest); ok && request.FromMemberId != meant.MemberID {
		c.wrong(meant, "the member id is %q, expected %q", request.FromMemberId, meant.MemberID)
	}
	count := 0
	for _, member := range state.GetMembers() {
		count += len(member.Values)
	}
	if count != len(meant.Entries) {
		c.wrong(meant, "it has %d entries, expected %d", count, len(meant.Entries))
	}
	for _, entry := range meant.Entries {
		c.Entries++
		found := state.GetMembers()[entry.Member].GetValues()[entry.Key]
		where := fmt.Sprintf("%q of %q", entry.Key, entry.Member)
		if found == nil {
			c.wrong(meant, "%s is missing", where)
			continue
		}
		if found.SequenceNumber != entry.Number {
			c.wrong(meant, "the number of %s is %d, expected %d", where, found.SequenceNumber, entry.Number)
		}
		if found.LocalTimestampUnixMilliseconds != entry.Stamp {
			c.wrong(meant, "the stamp of %s is %d, expected %d", where, found.LocalTimestampUnixMilliseconds, entry.Stamp)
		}
		if err := entry.compareValue(found.Value); err != nil {
			c.wrong(meant, "the value of %s: %v", where, err)
		}
	}
}

func (e writtenEntry) compareValue(found *anypb.Any) error {
	if e.Type == "" || found == nil {
		if e.Type != "" || found != nil {
			return fmt.Errorf("it is %v, expected type %q", found, e.Type)
		}
		return nil
	}
	if found.TypeUrl != "type.googleapis.com/"+e.Type {
		return fmt.Errorf("it has type %q, expected %q", found.TypeUrl, e.Type)
	}
	message, err := found.UnmarshalNew()
	if err != nil {
		return err
	}
	is, meant, err := e.plain(message, found)
	if err == nil && !reflect.DeepEqual(is, meant) {
		return fmt.Errorf("it is %v, expected %v", is, meant)
	}
	return err
}

// The actual and the intended value, in comparable form.
func (e writtenEntry) plain(message proto.Message, whole *anypb.Any) (is, meant any, err error) {
	switch message := message.(type) {
	case *structpb.Value:
		err = json.Unmarshal(e.Value, &meant)
		return message.AsInterface(), meant, err
	case *cluster.MemberHeartbeat:
		var fields struct {
			ActorStatistics struct{ ActorCount map[string]int64 }
		}
		err = unmarshalStrictly(e.Value, &fields)
		return notNil(message.GetActorStatistics().GetActorCount()), notNil(fields.ActorStatistics.ActorCount), err
	case *cluster.ClusterTopology:
		fields := topology{}
		err = unmarshalStrictly(e.Value, &fields)
		return topologyOf(message), fields, err
	default:
		// An Empty has no content. A type that only Go knows is compared as a whole Any.
		if e.Type == "google.protobuf.Empty" {
			return len(whole.Value), 0, nil
		}
		if err = json.Unmarshal(toJSON(whole), &is); err == nil {
			err = json.Unmarshal(e.Value, &meant)
		}
		return is, meant, err
	}
}

func unmarshalStrictly(text []byte, fields any) error {
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	return decoder.Decode(fields)
}

func notNil(counts map[string]int64) map[string]int64 {
	if counts == nil {
		return map[string]int64{}
	}
	return counts
}

type topology struct {
	TopologyHash    string
	Members, Joined []topologyMember
	Left            []topologyMember
	Blocked         []string
}

type topologyMember struct {
	Host, ID string
	Port     int32
	Kinds    []string
}

func topologyOf(message *cluster.ClusterTopology) topology {
	list := func(members []*cluster.Member) (made []topologyMember) {
		for _, each := range members {
			made = append(made, topologyMember{each.Host, each.Id, each.Port, each.Kinds})
		}
		return made
	}
	made := topology{
		Members: list(message.Members), Joined: list(message.Joined), Left: list(message.Left), Blocked: message.Blocked,
	}
	// Both sides leave out zero.
	if message.TopologyHash != 0 {
		made.TopologyHash = strconv.FormatUint(message.TopologyHash, 10)
	}
	return made
}
