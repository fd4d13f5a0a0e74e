package localzipkin

import (
	"encoding/json"
	"net"
	"testing"

	"github.com/openzipkin/zipkin-go/model"
	"github.com/openzipkin/zipkin-go/proto/zipkin_proto3"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"
)

// TestUnusualSpans checks what becomes of fields that are unusual.
func TestUnusualSpans(t *testing.T) {
	for sent, want := range map[string]string{
		`"duration":-5,"timestamp":-5`:                               `{"traceId":"00000000000000f1","id":"0000000000000002"}`,
		`"timestamp":"1.7e15","duration":1.0e9`:                      `{"traceId":"00000000000000f1","id":"0000000000000002","timestamp":1700000000000000,"duration":1000000000}`,
		`"timestamp":12,"duration":"3"`:                              `{"traceId":"00000000000000f1","id":"0000000000000002","timestamp":12,"duration":3}`,
		`"timestamp":9007199254740993`:                               `{"traceId":"00000000000000f1","id":"0000000000000002","timestamp":9007199254740993}`,
		`"timestamp":9223372036854775807`:                            `{"traceId":"00000000000000f1","id":"0000000000000002","timestamp":9223372036854775807}`,
		`"duration":9223372036854775807`:                             `{"traceId":"00000000000000f1","id":"0000000000000002","duration":9223372036854775}`,
		`"annotations":[{"timestamp":0,"value":"a"}]`:                `{"traceId":"00000000000000f1","id":"0000000000000002","annotations":[{"timestamp":0,"value":"a"}]}`,
		`"localEndpoint":{"serviceName":"s","ipv4":"1.2.3"}`:         `{"traceId":"00000000000000f1","id":"0000000000000002","localEndpoint":{"serviceName":"s"}}`,
		`"localEndpoint":{"ipv4":"::1","ipv6":"1.2.3.4"}`:            `{"traceId":"00000000000000f1","id":"0000000000000002","localEndpoint":{"ipv4":"1.2.3.4","ipv6":"::1"}}`,
		`"localEndpoint":{"ipv4":"nowhere"}`:                         `{"traceId":"00000000000000f1","id":"0000000000000002"}`,
		`"tags":{"n":5,"x":1.50}`:                                    `{"traceId":"00000000000000f1","id":"0000000000000002","tags":{"n":"5","x":"1.50"}}`,
		`"parentId":"2"`:                                             `{"traceId":"00000000000000f1","id":"0000000000000002"}`,
		`"kind":"CLIENT","parentId":"0a","debug":true,"shared":true`: `{"traceId":"00000000000000f1","parentId":"000000000000000a","id":"0000000000000002","kind":"CLIENT","debug":true,"shared":true}`,
	} {
		spans, err := Decode([]byte(`[{"traceId":"f1","id":"2",`+sent+`}]`), "application/json")
		require.NoError(t, err, sent)
		given, err := json.Marshal(wire([]model.SpanModel{*spans[0]})[0])
		require.NoError(t, err)
		require.Equal(t, want, string(given), sent)
	}
}

// TestUnusualProtobuf checks that a span in protobuf that has no kind, an address of the wrong length and a duration that is negative in Java is
// taken, and can be given.
func TestUnusualProtobuf(t *testing.T) {
	text, err := proto.Marshal(&zipkin_proto3.ListOfSpans{Spans: []*zipkin_proto3.Span{{
		TraceId: make([]byte, 16), Id: []byte{0, 0, 0, 0, 0, 0, 0, 1}, Duration: 1 << 63, LocalEndpoint: &zipkin_proto3.Endpoint{ServiceName: "s", Ipv4: []byte{1, 2}, Ipv6: net.IPv6loopback},
	}}})
	require.NoError(t, err)
	_, err = Decode(text, "application/x-protobuf")
	require.ErrorContains(t, err, "span 0 has no traceId")
	text, err = proto.Marshal(&zipkin_proto3.ListOfSpans{Spans: []*zipkin_proto3.Span{{
		TraceId: append(make([]byte, 15), 7), Id: []byte{0, 0, 0, 0, 0, 0, 0, 1}, Duration: 1 << 63, LocalEndpoint: &zipkin_proto3.Endpoint{ServiceName: "s", Ipv4: []byte{1, 2}, Ipv6: net.IPv6loopback},
	}}})
	require.NoError(t, err)
	spans, err := Decode(text, "application/x-protobuf")
	require.NoError(t, err)
	given, err := json.Marshal(wire([]model.SpanModel{*spans[0]})[0])
	require.NoError(t, err)
	require.Equal(t, `{"traceId":"0000000000000007","id":"0000000000000001","localEndpoint":{"serviceName":"s","ipv6":"::1"}}`, string(given))
}
