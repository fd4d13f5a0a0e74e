package container

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"os"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// process is one that the warden has started for us, with our ends of its pipes.
type process struct {
	id       uint64
	keeper   *keeper
	started  chan message
	identity stat // pid and start; under the keeper's lock until start returns
	jailed   bool // a control group bounds its memory

	stdin, results *os.File
	answers        *bufio.Reader
	out, errors    *stream
	readers        sync.WaitGroup

	exit   exit // set when exited is closed
	exited chan struct{}
}

// exit is why a process is gone.
type exit struct {
	exhausted bool // it took too much memory
	lost      bool // the warden was gone first
	closed    bool // everything is
}

// open makes the pipes, and returns the process's ends.
func (p *process) open(logs *book) (theirs []int, err error) {
	pipe := func(name string, write bool) (*os.File, error) {
		var fds [2]int
		if err := unix.Pipe2(fds[:], unix.O_CLOEXEC); err != nil {
			return nil, os.NewSyscallError("pipe2", err)
		}
		ours, other := fds[0], fds[1]
		if write {
			ours, other = other, ours
		}
		theirs = append(theirs, other)
		// Only our end: a program expects its own to block.
		if err := unix.SetNonblock(ours, true); err != nil {
			unix.Close(ours)
			return nil, os.NewSyscallError("fcntl", err)
		}
		return os.NewFile(uintptr(ours), name), nil
	}
	if p.stdin, err = pipe("stdin", true); err != nil {
		return theirs, err
	}
	for _, s := range []struct {
		name string
		to   **stream
	}{{"stdout", &p.out}, {"stderr", &p.errors}} {
		f, err := pipe(s.name, false)
		if err != nil {
			return theirs, err
		}
		*s.to = &stream{file: f, sink: &splitter{book: logs, stream: s.name}}
	}
	p.results, err = pipe("results", false)
	p.answers = bufio.NewReader(p.results)
	return theirs, err
}

// listen starts to read what the process writes.
func (p *process) listen() {
	p.readers.Go(p.out.follow)
	p.readers.Go(p.errors.follow)
}

// close closes our ends, and waits for those who read.
func (p *process) close() {
	for _, f := range []*os.File{p.stdin, p.results} {
		if f != nil {
			f.Close()
		}
	}
	for _, s := range []*stream{p.out, p.errors} {
		if s != nil {
			s.file.Close()
		}
	}
	p.readers.Wait()
}

func (p *process) end(e exit) {
	p.exit = e
	close(p.exited)
	// All ends but ours should be closed. If one has got out of our reach, nobody shall wait for it.
	_ = p.results.SetReadDeadline(time.Now())
	_ = p.stdin.SetWriteDeadline(time.Now())
}

func (p *process) hasExited() bool {
	select {
	case <-p.exited:
		return true
	default:
		return false
	}
}

// kill kills the process and what descends from it, and returns when all is gone.
func (p *process) kill() exit {
	_ = p.keeper.send(message{op: opKill, id: p.id}) // if the warden is gone, its keeper kills
	<-p.exited
	return p.exit
}

// deadline bounds what is read and written from now on.
func (p *process) deadline(t time.Time) {
	_ = p.results.SetReadDeadline(t)
	_ = p.stdin.SetWriteDeadline(t)
	if p.hasExited() {
		_ = p.results.SetReadDeadline(time.Now())
		_ = p.stdin.SetWriteDeadline(time.Now())
	}
}

// answer reads a line, of which it returns at most maxAnswer bytes, and its size with its end.
func (p *process) answer() (line []byte, size int, err error) {
	for {
		part, err := p.answers.ReadSlice('\n')
		if errors.Is(err, os.ErrDeadlineExceeded) && p.hasExited() {
			// What it wrote before it died still counts.
			rest := p.rest()
			part, err = rest, io.EOF
			if i := bytes.IndexByte(rest, '\n'); i >= 0 {
				part, err = rest[:i+1], nil
			}
		}
		size += len(part)
		if err == nil && line == nil {
			return part, size, nil
		}
		line = append(line, part[:min(len(part), maxAnswer-len(line))]...)
		switch {
		case err == nil:
			return line, size, nil
		case !errors.Is(err, bufio.ErrBufferFull):
			return nil, size, err
		}
	}
}

// rest returns what lies in the pipe of answers, and in the buffer before it, without waiting.
func (p *process) rest() []byte {
	buffered, _ := p.answers.Peek(p.answers.Buffered())
	all := bytes.Clone(buffered)
	_, _ = p.answers.Discard(len(buffered))
	raw, err := p.results.SyscallConn()
	if err != nil {
		return all
	}
	_ = raw.Control(func(fd uintptr) {
		buffer := make([]byte, 64<<10)
		for len(all) <= 2*maxAnswer {
			n, err := syscall.Read(int(fd), buffer)
			if err == syscall.EINTR {
				continue
			}
			if n <= 0 {
				return
			}
			all = append(all, buffer[:n]...)
		}
	})
	return all
}

// discardAnswers forgets answers that nobody asked for.
func (p *process) discardAnswers() {
	_, _ = p.answers.Discard(p.answers.Buffered())
	raw, err := p.results.SyscallConn()
	if err != nil {
		return
	}
	_ = raw.Control(func(fd uintptr) {
		var buffer [512]byte
		for range 1 << 12 {
			if n, err := syscall.Read(int(fd), buffer[:]); n <= 0 && err != syscall.EINTR {
				return
			}
		}
	})
}

// drain takes in what has been written to the logs by now.
func (p *process) drain() {
	p.out.drain()
	p.errors.drain()
}

// stream is one of standard output and standard error.
type stream struct {
	file *os.File
	mu   sync.Mutex
	sink sink
}

// atOnce is how much of a stream is read before others may; a pipe holds no more unless it was enlarged.
const atOnce = 64 << 10

var buffers = sync.Pool{New: func() any { return new([atOnce]byte) }}

// follow reads until the stream ends.
func (s *stream) follow() {
	raw, err := s.file.SyscallConn()
	if err != nil {
		return
	}
	_ = raw.Read(func(fd uintptr) bool {
		for {
			if n, more := s.read(int(fd)); n == 0 {
				return !more
			}
		}
	})
}

// drain reads what is there, up to what the largest pipe holds.
func (s *stream) drain() {
	raw, err := s.file.SyscallConn()
	if err == nil {
		_ = raw.Control(func(fd uintptr) {
			for total := 0; total < 1<<20; {
				n, _ := s.read(int(fd))
				if n == 0 {
					return
				}
				total += n
			}
		})
	}
	s.mu.Lock()
	s.sink.flush()
	s.mu.Unlock()
}

// read reads once, without waiting; more tells whether there can be more.
func (s *stream) read(fd int) (n int, more bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	buffer := buffers.Get().(*[atOnce]byte)
	defer buffers.Put(buffer)
	for {
		n, err := syscall.Read(fd, buffer[:])
		switch {
		case err == syscall.EINTR:
			continue
		case err == syscall.EAGAIN:
			return 0, true
		case n <= 0:
			return 0, false
		}
		s.sink.write(buffer[:n], time.Now())
		return n, true
	}
}
