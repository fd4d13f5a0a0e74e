package filestorage

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"io/fs"
	"os"
)

// The format of bbolt's files, version 2. All numbers are in the byte order of the machine.
//
//	page:            id u64, flags u16, count u16, overflow u32, then count elements and what they point to
//	branch element:  position u32 (from the element), key size u32, page u64
//	leaf element:    flags u32, position u32 (from the element), key size u32, value size u32
//	bucket:          root page u64, sequence u64; if the root is 0, a leaf page follows
//	meta:            magic u32, version u32, page size u32, flags u32, bucket, freelist page u64, number of pages u64, transaction u64,
//	                 checksum u64; in pages 0 and 1
const (
	pageHeader    = 16
	elementSize   = 16
	bucketHeader  = 16
	metaSize      = 64
	branchPage    = 0x01
	leafPage      = 0x02
	freelistPage  = 0x10
	bucketElement = 0x01
	magic         = 0xED0CDAED
	version       = 2
	noFreelist    = ^uint64(0)
	maxDepth      = 64 // of pages and buckets; the file of a storage has some 5
)

var order = binary.NativeEndian

// checkDatabase returns what is wrong with the database in a file, nil if nothing is: then bbolt can open and read it. bbolt itself panics
// on many kinds of damage, in a goroutine of its own, which ends the process. A file that does not exist, is empty or is in use by another
// process is not damaged. The error err tells why the file could not be checked.
func checkDatabase(path string) (damage, err error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() || info.Size() == 0 || !lock(f.Fd()) {
		return nil, nil
	}
	d := database{file: f, size: info.Size(), seen: map[uint64]bool{}}
	damage = d.check()
	if d.err != nil {
		return nil, d.err // the disk fails, which says nothing about the file
	}
	return damage, nil
}

// database is a file that is checked.
type database struct {
	file     io.ReaderAt
	size     int64
	pageSize int64
	pages    uint64          // number of pages in use
	seen     map[uint64]bool // the pages that were reached
	err      error           // of reading the file
}

// meta is the content of a meta page.
type meta struct{ pageSize, root, freelist, pages, transaction uint64 }

// check reads all pages that are in use.
func (d *database) check() error {
	m, err := d.meta()
	if err != nil {
		return err
	}
	d.pageSize, d.pages = int64(m.pageSize), m.pages
	if m.pages > uint64(d.size)/m.pageSize {
		return fmt.Errorf("the file is cut off: %d pages of %d bytes are in use, and it has %d bytes", m.pages, m.pageSize, d.size)
	}
	if m.freelist != noFreelist {
		if err := d.freelist(m.freelist); err != nil {
			return err
		}
	}
	return d.page(m.root, nil, nil, 0)
}

// meta returns the meta page of the last transaction.
func (d *database) meta() (newest meta, err error) {
	found := false
	first, ok := d.metaAt(0)
	if ok {
		newest, found = first, true
	}
	for shift := range 15 {
		offset := int64(1024) << shift
		if found && offset != int64(first.pageSize) && first.pageSize != 0 {
			continue
		}
		if m, ok := d.metaAt(offset); ok && m.pageSize == uint64(offset) && (!found || m.transaction > newest.transaction) {
			newest, found = m, true
		}
	}
	if !found {
		return meta{}, errors.New("neither of its meta pages is valid")
	}
	return newest, nil
}

func (d *database) metaAt(offset int64) (meta, bool) {
	page := d.read(offset, pageHeader+metaSize)
	if page == nil {
		return meta{}, false
	}
	b := page[pageHeader:]
	sum := fnv.New64a()
	sum.Write(b[:metaSize-8])
	if order.Uint32(b) != magic || order.Uint32(b[4:]) != version || order.Uint64(b[metaSize-8:]) != sum.Sum64() {
		return meta{}, false
	}
	m := meta{
		pageSize: uint64(order.Uint32(b[8:])), root: order.Uint64(b[16:]), freelist: order.Uint64(b[32:]), pages: order.Uint64(b[40:]),
		transaction: order.Uint64(b[48:]),
	}
	return m, m.pageSize >= 1024 && m.pageSize <= 1<<24
}

// read returns n bytes of the file, nil if it has not so many.
func (d *database) read(offset, n int64) []byte {
	if offset < 0 || n < 0 || n > d.size-offset {
		return nil
	}
	b := make([]byte, n)
	if _, err := d.file.ReadAt(b, offset); err != nil {
		if !errors.Is(err, io.EOF) {
			d.err = err
		}
		return nil
	}
	return b
}

// load returns a page with its overflow, and marks it as reached.
func (d *database) load(id uint64) ([]byte, error) {
	if id < 2 || id >= d.pages {
		return nil, fmt.Errorf("page %d is not one of %d", id, d.pages)
	}
	header := d.read(int64(id)*d.pageSize, pageHeader)
	if header == nil {
		return nil, fmt.Errorf("page %d cannot be read", id)
	}
	if self := order.Uint64(header); self != id {
		return nil, fmt.Errorf("page %d says that it is page %d", id, self)
	}
	overflow := uint64(order.Uint32(header[12:]))
	if overflow >= d.pages-id {
		return nil, fmt.Errorf("page %d goes beyond the last one", id)
	}
	for i := id; i <= id+overflow; i++ {
		if d.seen[i] {
			return nil, fmt.Errorf("page %d is in use twice", i)
		}
		d.seen[i] = true
	}
	page := d.read(int64(id)*d.pageSize, int64(overflow+1)*d.pageSize)
	if page == nil {
		return nil, fmt.Errorf("page %d cannot be read", id)
	}
	return page, nil
}

// freelist checks the list of free pages.
func (d *database) freelist(id uint64) error {
	page, err := d.load(id)
	if err != nil {
		return err
	}
	if flags := order.Uint16(page[8:]); flags != freelistPage {
		return fmt.Errorf("page %d is no list of free pages", id)
	}
	count, at := uint64(order.Uint16(page[10:])), pageHeader
	if count == 0xFFFF {
		count, at = order.Uint64(page[at:]), at+8
	}
	if count > uint64(len(page)-at)/8 {
		return fmt.Errorf("page %d is too short for %d free pages", id, count)
	}
	for i := range count {
		if free := order.Uint64(page[at+8*int(i):]); free < 2 || free >= d.pages {
			return fmt.Errorf("the free page %d is not one of %d", free, d.pages)
		}
	}
	return nil
}

// page checks a page and all below it. Its keys are from least (inclusive) to most (exclusive); nil for no bound.
func (d *database) page(id uint64, least, most []byte, depth int) error {
	page, err := d.load(id)
	if err != nil {
		return err
	}
	if err := d.elements(page, least, most, depth); err != nil {
		return fmt.Errorf("page %d: %w", id, err)
	}
	return nil
}

// elements checks the elements of a page, which may stand within a bucket.
func (d *database) elements(page []byte, least, most []byte, depth int) error {
	if depth > maxDepth {
		return errors.New("the tree is too deep")
	}
	if len(page) < pageHeader {
		return errors.New("it is too short")
	}
	flags, count := order.Uint16(page[8:]), int(order.Uint16(page[10:]))
	if flags != branchPage && flags != leafPage {
		return fmt.Errorf("its type %#x is unknown", flags)
	}
	if flags == branchPage && count == 0 {
		return errors.New("it has no branches")
	}
	if pageHeader+count*elementSize > len(page) {
		return fmt.Errorf("it is too short for %d elements", count)
	}
	cut := func(at, position, size uint64) []byte {
		if begin := at + position; position <= uint64(len(page)) && size <= uint64(len(page)) && begin+size <= uint64(len(page)) {
			return page[begin : begin+size]
		}
		return nil
	}
	type element struct {
		key, value []byte
		flags      uint32
		page       uint64
	}
	all := make([]element, count)
	for i := range all {
		at := uint64(pageHeader + i*elementSize)
		b := page[at:]
		e := &all[i]
		if flags == branchPage {
			e.page = order.Uint64(b[8:])
			e.key = cut(at, uint64(order.Uint32(b)), uint64(order.Uint32(b[4:])))
		} else {
			position, keySize := uint64(order.Uint32(b[4:])), uint64(order.Uint32(b[8:]))
			e.flags = order.Uint32(b)
			e.key = cut(at, position, keySize)
			e.value = cut(at, position+keySize, uint64(order.Uint32(b[12:])))
		}
		if e.key == nil || flags == leafPage && e.value == nil {
			return fmt.Errorf("element %d goes beyond the page", i)
		}
		if i > 0 && bytes.Compare(all[i-1].key, e.key) >= 0 {
			return fmt.Errorf("element %d is not behind the one before", i)
		}
		if least != nil && i == 0 && bytes.Compare(e.key, least) < 0 || most != nil && bytes.Compare(e.key, most) >= 0 {
			return fmt.Errorf("element %d is not between the keys of the page above", i)
		}
	}
	for i, e := range all {
		switch {
		case flags == branchPage:
			upper := most
			if i+1 < count {
				upper = all[i+1].key
			}
			if err := d.page(e.page, e.key, upper, depth+1); err != nil {
				return err
			}
		case e.flags&bucketElement == 0:
		case len(e.value) < bucketHeader:
			return fmt.Errorf("element %d is too short for a bucket", i)
		case order.Uint64(e.value) == 0:
			if err := d.elements(e.value[bucketHeader:], nil, nil, depth+1); err != nil {
				return fmt.Errorf("bucket %q: %w", e.key, err)
			}
		default:
			if err := d.page(order.Uint64(e.value), nil, nil, depth+1); err != nil {
				return fmt.Errorf("bucket %q: %w", e.key, err)
			}
		}
	}
	return nil
}
