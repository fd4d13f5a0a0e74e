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

// process is a process that the supervisor has started for a container, with the platform's ends of its pipes.
type process struct {
	id         uint64
	supervisor *supervisorClient
	started    chan message // receives opStarted
	identity   procStat     // pid and start time; protected by the supervisorClient's lock until its method start returns
	inCgroup   bool         // a control group limits its memory

	stdin, results *os.File
	answers        *bufio.Reader
	out, errors    *stream
	readers        sync.WaitGroup

	exit   exit // valid once exited is closed
	exited chan struct{}
}

// exit says why a process is gone; the zero value means that it exited by itself or was killed by kill.
type exit struct {
	outOfMemory    bool // it exceeded its memory limit
	supervisorLost bool // its supervisor ended unexpectedly
	closed         bool // the runtime was closed
}

// openPipes creates the pipes, and returns the process's ends: standard input, output and error, and the descriptor for results.
func (p *process) openPipes(logs *logBuffer) (theirs []int, err error) {
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
		// Only our end is non-blocking: programs expect theirs to block.
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
		*s.to = &stream{file: f, sink: &lineSplitter{buffer: logs, stream: s.name}}
	}
	p.results, err = pipe("results", false)
	p.answers = bufio.NewReader(p.results)
	return theirs, err
}

// startReading starts the goroutines that read standard output and standard error.
func (p *process) startReading() {
	p.readers.Go(p.out.readAll)
	p.readers.Go(p.errors.readAll)
}

// close closes our ends of the pipes, and waits for the reading goroutines.
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

// setExited records why the process is gone, and ends the reads and writes that wait for it.
func (p *process) setExited(e exit) {
	p.exit = e
	close(p.exited)
	// The other ends of the pipes should be closed now. If a copy of one has escaped, nothing must wait for it.
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

// kill kills the process and its descendants, and returns when all are gone.
func (p *process) kill() exit {
	_ = p.supervisor.send(message{op: opKill, id: p.id}) // if the supervisor is gone, supervisorClient.listen kills them
	<-p.exited
	return p.exit
}

// setDeadline sets the deadline of reading results and of writing to standard input.
func (p *process) setDeadline(t time.Time) {
	_ = p.results.SetReadDeadline(t)
	_ = p.stdin.SetWriteDeadline(t)
	if p.hasExited() {
		_ = p.results.SetReadDeadline(time.Now())
		_ = p.stdin.SetWriteDeadline(time.Now())
	}
}

// readAnswer reads a line of results. It returns at most maxAnswer bytes of it, and its size including the newline.
func (p *process) readAnswer() (line []byte, size int, err error) {
	for {
		part, err := p.answers.ReadSlice('\n')
		if errors.Is(err, os.ErrDeadlineExceeded) && p.hasExited() {
			// What the process has written before it died still counts.
			rest := p.readBuffered()
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

// readBuffered returns what is in the pipe of results and in the buffer in front of it, without waiting.
func (p *process) readBuffered() []byte {
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

// discardAnswers discards answers that belong to no request.
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

// drain reads what has been written to standard output and standard error so far.
func (p *process) drain() {
	p.out.drain()
	p.errors.drain()
}

// stream is the read end of standard output or standard error.
type stream struct {
	file *os.File
	mu   sync.Mutex
	sink sink
}

// readSize is the number of bytes that one read takes from a stream. A pipe holds no more unless it was enlarged.
const readSize = 64 << 10

var buffers = sync.Pool{New: func() any { return new([readSize]byte) }}

// readAll reads until the end of the stream.
func (s *stream) readAll() {
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

// drain reads what is in the pipe, at most 1 MiB, which is the largest size of a pipe, and ends an unfinished line.
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

// read reads once, without waiting, and passes the bytes to the sink. It reports whether more can come later.
func (s *stream) read(fd int) (n int, more bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	buffer := buffers.Get().(*[readSize]byte)
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
