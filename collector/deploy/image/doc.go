// Command image makes an image of the collector, or of the controller of prewarming, without a container engine, and writes it to a file that engines load and registries take.
//
//	go run ./collector/deploy/image -o build/collector.tar
//	go run ./collector/deploy/image -program prewarm -o build/prewarm.tar
//
// The image has the static program for each platform, the certificates of Debian's package ca-certificates, a user that is not root, and
// nothing else. The same sources, Go and certificates make the same bytes.
package main
