// Package qrcode is a small function for tests and demonstrations: it draws a QR code of what it is sent. The longer that is, the more processor time and memory
// it uses.
//
//	server := &http.Server{Addr: "127.0.0.1:8080", Handler: qrcode.Handler(), ReadHeaderTimeout: 10 * time.Second}
//	err := server.ListenAndServe()
package qrcode

import (
	"bytes"
	"errors"
	"image"
	"image/color"
	"image/png"
	"io"
	"net/http"
	"strconv"

	goqr "github.com/piglig/go-qr"
)

// MaxSize is the size of the largest text of which there is a QR code, in bytes.
const MaxSize = 2953

// scale is the size of a module of the code in pixels, border the number of light modules around it.
const (
	scale  = 4
	border = 4
)

// Handler returns the function: POST it a text, and it answers a PNG. GET / says that it is there.
func Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "POST a text, and get its QR code.\n")
	})
	mux.HandleFunc("POST /", func(w http.ResponseWriter, r *http.Request) {
		text, err := io.ReadAll(http.MaxBytesReader(w, r.Body, MaxSize))
		var long *http.MaxBytesError
		switch {
		case errors.As(err, &long):
			http.Error(w, "the text has more than "+strconv.Itoa(MaxSize)+" bytes: no QR code has room for it", http.StatusRequestEntityTooLarge)
			return
		case err != nil:
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		picture, err := draw(text)
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		w.Header().Set("Content-Type", "image/png")
		w.Header().Set("Content-Length", strconv.Itoa(len(picture)))
		_, _ = w.Write(picture)
	})
	return mux
}

// draw returns the QR code of a text, as a PNG.
func draw(text []byte) ([]byte, error) {
	code, err := goqr.EncodeBinary(text, goqr.Low)
	if err != nil {
		return nil, err
	}
	// A picture of two colours takes less than one in full colour, as the library draws.
	side := (code.Size() + 2*border) * scale
	pixels := image.NewPaletted(image.Rect(0, 0, side, side), color.Palette{color.White, color.Black})
	for y := range side {
		row := pixels.Pix[y*pixels.Stride:][:side]
		for x := range row {
			if code.Module(x/scale-border, y/scale-border) {
				row[x] = 1
			}
		}
	}
	var picture bytes.Buffer
	err = png.Encode(&picture, pixels)
	return picture.Bytes(), err
}
