// Package deploy contains what a controller needs in Kubernetes, in Prometheus and in Grafana, and tests that it is consistent.
//
//	kubectl apply -k prewarm/deploy
package deploy

//go:generate go run ./dashboard -o dashboard.json
