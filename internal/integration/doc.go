// Package integration sorts the tests that need a part which is not Go: a real Zipkin server, the Serverless Framework, JAX,
// OpenTelemetry in Node.js and Python.
//
// Such a test stands in a file whose name ends in _integration_test.go, with the build tag integration, and is called TestIntegration…;
// make integration runs these tests and no others. A test of this package checks that all tests keep to that. When a part is missing,
//
//	integration.Missing(t, "npm", "apt-get install npm")
//
// skips the test and says how to get the part. Under make integration, which sets TPPFAAS_INTEGRATION=required, it fails the test instead.
package integration
