// A member of a hashicorp/memberlist cluster for the benchmark: DefaultLANConfig with the given gossip interval.
package main

import (
	"encoding/json"
	"io"
	"sync"
	"time"

	"github.com/hashicorp/memberlist"

	"bench_peers/line"
)

// The wait before another dial of seeds that do not listen yet.
const joinRetry = 200 * time.Millisecond

// One value of one member. A higher number replaces a lower one.
type entry struct {
	Owner  string `json:"owner"`
	Number int    `json:"number"`
	Value  string `json:"value"`
}

// Makes an entry a broadcast. A newer entry of the same owner replaces it in the queue.
type broadcast struct {
	owner   string
	message []byte
}

func (b *broadcast) Name() string                          { return b.owner }
func (b *broadcast) Invalidates(memberlist.Broadcast) bool { return false }
func (b *broadcast) Message() []byte                       { return b.message }
func (b *broadcast) Finished()                             {}

// The state of this member. It implements Delegate and EventDelegate.
type node struct {
	id      string
	queue   *memberlist.TransmitLimitedQueue
	mutex   sync.Mutex
	entries map[string]entry
	members map[string]bool
}

func (n *node) set(value string) {
	n.mutex.Lock()
	number := n.entries[n.id].Number + 1
	n.mutex.Unlock()
	n.apply(entry{Owner: n.id, Number: number, Value: value})
}

// Stores an entry if it is newer, and queues it. Memberlist sends a user message only from members that queued it, so a
// receiver queues it as well.
func (n *node) apply(received entry) {
	n.mutex.Lock()
	isNew := received.Number > n.entries[received.Owner].Number
	if isNew {
		n.entries[received.Owner] = received
	}
	n.mutex.Unlock()
	if !isNew {
		return
	}
	if received.Owner != n.id {
		line.Report("seen", received.Value)
	}
	message, err := json.Marshal(received)
	if err != nil {
		line.Fail(err)
	}
	n.queue.QueueBroadcast(&broadcast{owner: received.Owner, message: message})
}

func (n *node) NodeMeta(int) []byte { return nil }

func (n *node) NotifyMsg(message []byte) {
	var received entry
	if json.Unmarshal(message, &received) == nil {
		n.apply(received)
	}
}

func (n *node) GetBroadcasts(overhead, limit int) [][]byte {
	return n.queue.GetBroadcasts(overhead, limit)
}

func (n *node) LocalState(bool) []byte {
	n.mutex.Lock()
	defer n.mutex.Unlock()
	state, err := json.Marshal(n.entries)
	if err != nil {
		line.Fail(err)
	}
	return state
}

func (n *node) MergeRemoteState(state []byte, _ bool) {
	var entries map[string]entry
	if json.Unmarshal(state, &entries) != nil {
		return
	}
	for _, received := range entries {
		n.apply(received)
	}
}

func (n *node) NotifyJoin(other *memberlist.Node) {
	n.count(other.Name, true)
}

func (n *node) NotifyLeave(other *memberlist.Node) {
	line.Report("gone", other.Name)
	n.count(other.Name, false)
}

func (n *node) NotifyUpdate(*memberlist.Node) {}

func (n *node) count(id string, isThere bool) {
	n.mutex.Lock()
	if isThere {
		n.members[id] = true
	} else {
		delete(n.members, id)
	}
	count := len(n.members)
	n.mutex.Unlock()
	line.Report("members", count)
}

func main() {
	options := line.Parse()
	self := &node{id: options.ID, entries: map[string]entry{}, members: map[string]bool{}}
	config := memberlist.DefaultLANConfig()
	config.Name = options.ID
	config.BindAddr = "127.0.0.1"
	config.BindPort = options.Port
	config.AdvertiseAddr = "127.0.0.1"
	config.AdvertisePort = options.Port
	config.GossipInterval = time.Duration(options.GossipIntervalMs) * time.Millisecond
	config.GossipNodes = options.FanOut
	config.LogOutput = io.Discard
	config.Delegate = self
	config.Events = self
	self.queue = &memberlist.TransmitLimitedQueue{
		NumNodes: func() int {
			self.mutex.Lock()
			defer self.mutex.Unlock()
			return len(self.members)
		},
		RetransmitMult: config.RetransmitMult,
	}
	list, err := memberlist.Create(config)
	if err != nil {
		line.Fail(err)
	}
	line.Report("ready", options.ID)
	go join(list, options.Seeds)
	line.Follow(self.set)
}

// Dials the seeds until one of them answers.
func join(list *memberlist.Memberlist, seeds []string) {
	for {
		if reached, _ := list.Join(seeds); reached > 0 {
			return
		}
		time.Sleep(joinRetry)
	}
}
