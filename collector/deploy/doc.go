// Package deploy holds the Kubernetes manifests of the collector and of Zipkin; its tests hold them together.
//
//	kubectl -n tppfaas create secret generic openwhisk --from-literal=auth=USER:PASSWORD
//	kubectl apply -k collector/deploy
package deploy
