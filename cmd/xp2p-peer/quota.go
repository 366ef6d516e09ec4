package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/xp2p/xp2p/lib/tool"
)

// A quota is what the viewers of one user may upload in a calendar month, and
// the file in which they count it together.
//
// The file is small JSON, replaced as a whole under a lock beside it, by adding
// to what is there: so nobody's count is lost, whoever else counts, and readers
// need no lock. A journal that all append to would need no lock either, but
// grows for as long as somebody watches, and whoever shortened it would need
// one. Each month has a count of its own, so that a clock that was wrong for a
// while takes nothing away.
type quota struct {
	file   string
	limit  int64
	booked int64            // of what was given here: is in the file
	months map[string]int64 // bytes given, as the file said last
}

// Our choices.
const (
	monthsKept  = 24
	maxQuota    = 64 << 10        // bytes of the file
	lockPatient = 2 * time.Second // others hold the lock for a few milliseconds
)

// quotaFile is what the file holds.
type quotaFile struct {
	GivenBytes map[string]int64 `json:"given_bytes"` // by month: 2006-01, local time
}

// openQuota opens the file, or makes it. An empty name is the user's own.
func openQuota(file string, limit int64, now time.Time) (*quota, error) {
	if file == "" {
		dir, err := os.UserConfigDir()
		if err != nil {
			return nil, tool.Failed("--upload-quota: where to count: %w", err).Hint("--quota-file names a file")
		}
		file = filepath.Join(dir, "xp2p", "quota.json")
		if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
			return nil, tool.Failed("--upload-quota: %w", err).Hint("--quota-file names another file")
		}
	}
	q := &quota{file: file, limit: limit}
	return q, q.book(now, 0)
}

func monthOf(t time.Time) string { return t.Format("2006-01") }

// end returns how much this program will have given when this month's quota is
// used up, as far as is known of the others.
func (q *quota) end(now time.Time) int64 { return q.limit - q.months[monthOf(now)] + q.booked }

// book counts what this program has given, and takes note of what others have.
func (q *quota) book(now time.Time, given int64) error {
	unlock, err := lock(q.file+".lock", lockPatient)
	if err != nil {
		return tool.Failed("quota file: %w", err)
	}
	defer unlock()
	months, err := readQuota(q.file)
	if err != nil {
		return tool.Failed("quota file %s: %w", q.file, err).Hint("to count from nothing, move it away")
	}
	month := monthOf(now)
	months[month] += given - q.booked
	for _, old := range slices.Sorted(maps.Keys(months)) {
		if len(months) > monthsKept && old != month {
			delete(months, old)
		}
	}
	b, err := json.Marshal(quotaFile{months})
	if err != nil {
		return err
	}
	if err := tool.WriteFile(q.file, append(b, '\n'), 0o644); err != nil {
		return tool.Failed("quota file: %w", err)
	}
	q.months, q.booked = months, given
	return nil
}

// readQuota reads the counts; a file that is not there, or empty, has none.
func readQuota(file string) (map[string]int64, error) {
	b, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) || err == nil && len(b) == 0 {
		return map[string]int64{}, nil
	}
	if err != nil {
		return nil, err
	}
	return parseQuota(b)
}

func parseQuota(b []byte) (map[string]int64, error) {
	if len(b) > maxQuota {
		return nil, fmt.Errorf("longer than %d bytes", maxQuota)
	}
	var f quotaFile
	if err := json.Unmarshal(b, &f); err != nil {
		return nil, err
	}
	if f.GivenBytes == nil {
		return nil, errors.New("no given_bytes in it")
	}
	for month, n := range f.GivenBytes {
		if t, err := time.Parse("2006-01", month); err != nil || monthOf(t) != month {
			return nil, fmt.Errorf("%.20q is no month", month)
		}
		if n < 0 || n > 1<<60 {
			return nil, fmt.Errorf("%d bytes in %s", n, month)
		}
	}
	return f.GivenBytes, nil
}
