package main

import (
	"bufio"
	"fmt"
	"io"
	"os"

	"github.com/tppfaas/tppfaas/internal/safetensors"
	"github.com/tppfaas/tppfaas/tpp"
)

// inputFile is a file whose kind is told by its first bytes. A pipe is opened once, since what was read of it does not come back.
type inputFile struct {
	path    string
	regular bool
	model   bool
	r       io.Reader // the whole content; an *os.File if the file is regular
	file    *os.File
}

// openInput opens a file and finds out whether it is a model.
func openInput(path string) (*inputFile, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	in := &inputFile{path: path, file: f, r: f}
	if err := in.begin(); err != nil {
		f.Close()
		return nil, err
	}
	return in, nil
}

func (in *inputFile) begin() error {
	info, err := in.file.Stat()
	if err != nil {
		return err
	}
	in.regular = info.Mode().IsRegular()
	var head []byte
	if in.regular {
		head = make([]byte, safetensors.HeadSize)
		n, err := in.file.ReadAt(head, 0)
		if err != nil && err != io.EOF {
			return err
		}
		head = head[:n]
	} else {
		buffered := bufio.NewReaderSize(in.file, 1<<16)
		if head, err = buffered.Peek(safetensors.HeadSize); err != nil && err != io.EOF {
			return fmt.Errorf("%s: %w", in.path, err)
		}
		in.r = buffered
	}
	in.model = safetensors.IsHead(head)
	return nil
}

// readModel reads the model that the file is, with what it was trained on.
func (in *inputFile) readModel() (tpp.Model, *tpp.TrainingData, error) {
	m, data, err := tpp.ReadTrainedModel(in.r)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", in.path, err)
	}
	return m, data, nil
}

// rewind goes back to the beginning, if the file is no pipe.
func (in *inputFile) rewind() error {
	if !in.regular {
		return nil
	}
	_, err := in.file.Seek(0, io.SeekStart)
	return err
}

// Close closes the file.
func (in *inputFile) Close() error { return in.file.Close() }
