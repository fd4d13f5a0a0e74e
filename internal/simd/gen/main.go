// Command gen writes the assembly of package simd with avo. It is run by go generate in the package's folder:
//
//	go run ./gen -kernels gemm -out gemm_amd64.s -stubs gemm_stubs_amd64.go -pkg simd
package main

import (
	"flag"
	"fmt"
	"os"

	. "github.com/mmcloughlin/avo/build"
)

// groups are the sets of kernels that can be generated, one file of assembly each.
var groups = map[string]func(isa){
	"gemm":   genGemm,
	"vector": genVector,
	"fused":  genFused,
	"race":   genRace,
}

func main() {
	kernels := flag.String("kernels", "", "group of kernels to generate: gemm, vector, fused or race")
	ConstraintExpr("amd64,!noasm")
	flag.Parse()
	group, ok := groups[*kernels]
	if !ok {
		fmt.Fprintf(os.Stderr, "gen: -kernels %q is none of the groups\n", *kernels)
		os.Exit(2)
	}
	for _, s := range []isa{avx2, avx512} {
		group(s)
	}
	Generate()
}
