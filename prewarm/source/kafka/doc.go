// Package kafka observes invocations by the spans that a collector has written to a topic of Kafka, keyed by trace (collector/kafka.yaml). Those who
// read as one group share the topic's partitions, so that a trace is with one of them.
//
//	s, err := kafka.New(kafka.Options{Brokers: []string{"kafka-1:9092"}})
//	if err != nil {
//		return err
//	}
//	err = s.Run(ctx, sink) // until ctx is done
//
// A message is committed when the sink has looked at it, if it is a [source.Follower], or else has taken it. What was not committed when a reader dies comes to
// another one of the group; a message may come twice, and none is passed over but those that are older than Options.MaxAge. A group that has committed nothing begins
// with what was written half a minute before its reader started, and commits that before it reads anything. While the sink has no room nothing is fetched.
package kafka
