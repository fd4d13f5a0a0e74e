// Package deploy contains the Kubernetes manifests of the collector and of Zipkin, and tests that they are consistent.
//
//	kubectl apply -f collector/deploy/namespace.yaml
//	kubectl -n tppfaas create secret generic openwhisk --from-literal=auth=USER:PASSWORD
//	kubectl apply -k collector/deploy
package deploy
