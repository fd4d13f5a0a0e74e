package usagecsv

import (
	"io"
	"math"
	"strconv"

	"github.com/tppfaas/tppfaas/internal/atomicfile"
	"github.com/tppfaas/tppfaas/rightsize"
)

const header = "Time,mem_usage,cpu_usage\n"

// Write writes usage: times in ms, what is not known as nothing. The same usage always becomes the same bytes, and Read returns the same usage of them.
func Write(w io.Writer, u *rightsize.Usage) error {
	if _, err := io.WriteString(w, header); err != nil {
		return err
	}
	var line []byte
	for i, t := range u.Times {
		line = AppendSample(line[:0], t, u.Memory[i], u.CPU[i])
		if _, err := w.Write(append(line, '\n')); err != nil {
			return err
		}
	}
	return nil
}

// AppendSample appends the line of a sample, without its end.
func AppendSample(line []byte, time int64, memory, cpu float64) []byte {
	line = strconv.AppendInt(line, time, 10)
	for _, v := range []float64{memory, cpu} {
		line = append(line, ',')
		if !math.IsNaN(v) {
			line = strconv.AppendFloat(line, v, 'f', -1, 64)
		}
	}
	return line
}

// WriteFile writes usage to a file, which is replaced only when the new one is whole; one whose name ends in .gz is compressed.
func WriteFile(path string, u *rightsize.Usage) error {
	return atomicfile.Write(path, func(w io.Writer) error { return Write(w, u) })
}
