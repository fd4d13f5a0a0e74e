// Package fire tries the collector under fire: the real program in processes of its own, between senders and a Zipkin that come
// and go and an OpenWhisk that fails in every way, and counts the spans that go in and come out.
//
//	go test ./collector/fire                            each trial for some seconds
//	go test ./collector/fire -soak -v -timeout 30m      in full
package fire
