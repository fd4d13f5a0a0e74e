// Package testbin gives tests the programs of this module as executables, each built once.
//
//	func TestMain(m *testing.M) { os.Exit(testbin.Main(m)) }
//
//	file, err := testbin.Path("collector/cmd/collector")
//
// The environment variable TPPFAAS_TESTBIN names a folder that has them already, which make test fills. Without it a process builds a
// program when a test first asks for it, and Main removes what was built.
package testbin
