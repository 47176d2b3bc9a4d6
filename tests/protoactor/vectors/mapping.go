package main

import (
	"bytes"
	"encoding/json"
	"fmt"

	"github.com/asynkron/protoactor-go/cluster"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/dynamicpb"
)

// The JSON form, without the random spaces of protojson.
func toJSON(message proto.Message) json.RawMessage {
	text, err := protojson.Marshal(message)
	if err != nil {
		panic(err)
	}
	var compact bytes.Buffer
	if err := json.Compact(&compact, text); err != nil {
		panic(err)
	}
	return compact.Bytes()
}

// Reads strictly: a field that the message does not have is an error.
func fromJSON(text []byte, message proto.Message) error {
	return protojson.UnmarshalOptions{DiscardUnknown: false}.Unmarshal(text, message)
}

// The GossipRequest of protoactor-go before 2024-08: field 2 was called member_id, and memberId in JSON. hearsay.v1
// writes that name. The binary form has no names, so both are one message there. This type is made from protoactor-go's
// own definition with the earlier name of that field.
var earlierRequest = func() protoreflect.MessageType {
	file := protodesc.ToFileDescriptorProto(cluster.File_gossip_proto)
	renamed := 0
	for _, message := range file.MessageType {
		for _, field := range message.Field {
			if message.GetName() == "GossipRequest" && field.GetNumber() == 2 {
				field.Name, field.JsonName = proto.String("member_id"), proto.String("memberId")
				renamed++
			}
		}
	}
	described, err := protodesc.NewFile(file, protoregistry.GlobalFiles)
	if err != nil || renamed != 1 {
		panic(fmt.Sprint("the earlier GossipRequest cannot be made: ", err))
	}
	return dynamicpb.NewMessageType(described.Messages().ByName("GossipRequest"))
}()

// The request's JSON form with the earlier name.
func toEarlierJSON(request *cluster.GossipRequest) json.RawMessage {
	earlier := earlierRequest.New().Interface()
	convert(request, earlier)
	return toJSON(earlier)
}

// Reads a request strictly, with the present or else the earlier name of the field.
func requestFromJSON(text []byte) (request *cluster.GossipRequest, isEarlier bool, err error) {
	request = &cluster.GossipRequest{}
	if fromJSON(text, request) == nil {
		return request, false, nil
	}
	earlier := earlierRequest.New().Interface()
	if err := fromJSON(text, earlier); err != nil {
		return nil, false, err
	}
	request.Reset()
	convert(earlier, request)
	return request, true, nil
}

func convert(from, to proto.Message) {
	bytes, err := proto.Marshal(from)
	if err == nil {
		err = proto.Unmarshal(bytes, to)
	}
	if err != nil {
		panic(err)
	}
}
