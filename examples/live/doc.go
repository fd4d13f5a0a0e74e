// Live reads invocations as they happen and prints, at each one, which functions should be warm soon.
//
//	go run ./examples/live models/low_tree_small_rand.race.safetensors -replay data/low_tree_small_rand.json.gz -sequence 5
//	something | go run ./examples/live model.safetensors -horizon 2s
//
// The second form reads invocations as JSON lines, each as soon as it is known:
//
//	{"trace": "4bf92f35", "time": 1732464000123, "function": "sequence-dev-main"}
//
// With -listen it takes the same over HTTP, and the announcements that an OpenTelemetry Collector passes on.
package main
