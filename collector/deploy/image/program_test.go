package main

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestStatic checks that a program that asks for a loader is not taken for a static one.
func TestStatic(t *testing.T) {
	for kind, want := range map[elf.ProgType]bool{elf.PT_INTERP: false, elf.PT_LOAD: true} {
		header := elf.Header64{
			Ident: [elf.EI_NIDENT]byte{0x7f, 'E', 'L', 'F', byte(elf.ELFCLASS64), byte(elf.ELFDATA2LSB), byte(elf.EV_CURRENT)},
			Type:  uint16(elf.ET_EXEC), Machine: uint16(elf.EM_X86_64), Version: uint32(elf.EV_CURRENT), Ehsize: 64, Phoff: 64, Phentsize: 56, Phnum: 1,
			Shentsize: 64,
		}
		var file bytes.Buffer
		require.NoError(t, binary.Write(&file, binary.LittleEndian, header))
		require.NoError(t, binary.Write(&file, binary.LittleEndian, elf.Prog64{Type: uint32(kind)}))
		name := filepath.Join(t.TempDir(), "program")
		require.NoError(t, os.WriteFile(name, file.Bytes(), 0o755))
		static, err := isStatic(name)
		require.NoError(t, err)
		require.Equal(t, want, static, kind)
	}
	_, err := isStatic(os.DevNull)
	require.ErrorContains(t, err, os.DevNull)
}
