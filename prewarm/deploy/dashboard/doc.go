// Command dashboard writes Grafana's dashboard of the controller.
//
//	go run ./prewarm/deploy/dashboard -o prewarm/deploy/dashboard.json
package main
