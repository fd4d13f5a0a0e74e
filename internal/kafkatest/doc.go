// Package kafkatest runs a real Kafka broker for tests.
//
//	broker := kafkatest.Start(t) // ends the test if there is no Java or the jars have not been fetched
//	client, err := kgo.NewClient(kgo.SeedBrokers(broker.Address))
//
// make fetch-kafka fetches the jars from Maven Central. Only tests with the build tag integration may use it.
package kafkatest
