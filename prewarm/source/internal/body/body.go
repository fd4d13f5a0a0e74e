// Package body reads the bodies of HTTP requests, packed or not, within bounds of each and of all at once.
//
//	room := body.NewRoom(64 << 20)
//	…
//	text, release, err := body.Read(w, r, room, 8<<20)
//	defer release()
//	if err != nil {
//		body.Refuse(w, err) // with the status that fits
//	}
package body

import (
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

// Room is the memory that all bodies share which are being received.
type Room struct {
	most int64
	used atomic.Int64
}

// NewRoom returns room for so many bytes.
func NewRoom(bytes int64) *Room { return &Room{most: bytes} }

// take reserves n bytes, and reports whether there was room.
func (r *Room) take(n int64) bool {
	if r.used.Add(n) > r.most {
		r.used.Add(-n)
		return false
	}
	return true
}

// Used returns how many bytes are in use.
func (r *Room) Used() int64 { return r.used.Load() }

// Error is why a body is not taken.
type Error struct {
	Status int
	Text   string
	// RetryAfter is when the same may be sent again; 0 if it never should be.
	RetryAfter time.Duration
}

func (e *Error) Error() string { return e.Text }

// Refuse answers with the status and the text of an error of Read, or of another *Error.
func Refuse(w http.ResponseWriter, err error) {
	e := &Error{Status: http.StatusBadRequest, Text: err.Error()}
	errors.As(err, &e)
	e.Headers(w.Header())
	http.Error(w, e.Text, e.Status)
}

// Headers sets the headers of an answer with the error.
func (e *Error) Headers(h http.Header) {
	if e.RetryAfter > 0 {
		h.Set("Retry-After", strconv.Itoa(int((e.RetryAfter+time.Second-1)/time.Second)))
	}
	if e.Status == http.StatusUnsupportedMediaType {
		h.Set("Accept-Encoding", "gzip")
	}
}

// Read reads a body of at most so many bytes, packed by gzip or not. Its memory is the room's until release is called, which must be called whatever the error
// is. The error is an *Error.
func Read(w http.ResponseWriter, r *http.Request, room *Room, most int64) (text []byte, release func(), err error) {
	var taken int64
	release = func() { room.used.Add(-taken) }
	if r.ContentLength > most {
		return nil, release, tooLarge(most)
	}
	from := io.Reader(http.MaxBytesReader(w, r.Body, most))
	switch encoding := strings.ToLower(strings.TrimSpace(r.Header.Get("Content-Encoding"))); encoding {
	case "", "identity":
	case "gzip":
		unpacked, err := gzip.NewReader(from)
		if err != nil {
			return nil, release, unreadable(err, most)
		}
		from = unpacked
	default:
		return nil, release, &Error{Status: http.StatusUnsupportedMediaType, Text: fmt.Sprintf("the Content-Encoding %.40q is not known: gzip is, and none", encoding)}
	}
	for {
		if size := int64(cap(text)); int64(len(text)) == size {
			size = min(max(2*size, 4<<10), most+1) // a body that fills the last one is too large
			if !room.take(size - taken) {
				return nil, release, &Error{Status: http.StatusTooManyRequests, Text: "too many bytes are being received", RetryAfter: time.Second}
			}
			taken = size
			text = append(make([]byte, 0, size), text...)
		}
		n, err := from.Read(text[len(text):cap(text)])
		text = text[:len(text)+n]
		switch {
		case int64(len(text)) > most:
			return nil, release, tooLarge(most)
		case err == io.EOF:
			return text, release, nil
		case err != nil:
			return nil, release, unreadable(err, most)
		}
	}
}

func tooLarge(most int64) error {
	return &Error{Status: http.StatusRequestEntityTooLarge, Text: fmt.Sprintf("the body has more than %d bytes", most)}
}

func unreadable(err error, most int64) error {
	var large *http.MaxBytesError
	if errors.As(err, &large) {
		return tooLarge(most)
	}
	return &Error{Status: http.StatusBadRequest, Text: "the body cannot be read: " + err.Error()}
}
