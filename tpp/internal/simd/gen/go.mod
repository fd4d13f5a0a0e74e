// A module of its own, so that whoever imports the library does not have the generator's dependencies in their graph.
module github.com/tppfaas/tppfaas/tpp/internal/simd/gen

go 1.26.0

require github.com/mmcloughlin/avo v0.6.0

require (
	golang.org/x/mod v0.41.0 // indirect
	golang.org/x/sync v0.23.0 // indirect
	golang.org/x/tools v0.51.0 // indirect
)
