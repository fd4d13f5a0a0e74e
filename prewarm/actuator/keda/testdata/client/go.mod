module github.com/tppfaas/tppfaas/prewarm/actuator/keda/testdata/client

go 1.26.0

require (
	github.com/kedacore/keda/v2 v2.21.0
	github.com/stretchr/testify v1.12.1
	github.com/tppfaas/tppfaas v0.0.0
	go.uber.org/goleak v1.3.0
	google.golang.org/grpc v1.84.0
)

require (
	go.yaml.in/yaml/v3 v3.0.5 // indirect
	golang.org/x/net v0.59.0 // indirect
	golang.org/x/sys v0.48.0 // indirect
	golang.org/x/text v0.42.0 // indirect
	google.golang.org/genproto/googleapis/rpc v0.0.0-20260904194346-d0f1323225a4 // indirect
	google.golang.org/protobuf v1.36.12 // indirect
)

replace github.com/tppfaas/tppfaas => ../../../../..
