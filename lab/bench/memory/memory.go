// Package memory measures what running programs use.
package memory

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// interval is how often memory is looked at: often enough for an operation of seconds, too seldom to slow it down.
const interval = 250 * time.Millisecond

// Peak is the highest resident memory that was seen, in MiB; 0 where there is no /proc.
type Peak struct {
	// Self is that of this process.
	Self float64
	// Others is that of its descendants which were chosen, together.
	Others float64
}

// Watch watches the memory of this process and, together, of those of its children whose name is child, with their descendants;
// the empty name means all children. The function that it returns ends that.
func Watch(child string) (stop func() (Peak, error)) {
	done, ended := make(chan struct{}), make(chan struct{})
	var peaks usage
	var failure error
	go func() {
		defer close(ended)
		ticker := time.NewTicker(interval)
		defer ticker.Stop()
		for {
			now, err := measure("/proc", os.Getpid(), child)
			if err != nil {
				failure = err
				return
			}
			peaks.self, peaks.others = max(peaks.self, now.self), max(peaks.others, now.others)
			select {
			case <-done:
				return
			case <-ticker.C:
			}
		}
	}()
	return func() (Peak, error) {
		close(done)
		<-ended
		return Peak{Self: float64(peaks.self) / mebi, Others: float64(peaks.others) / mebi}, failure
	}
}

const mebi = 1 << 20

// usage is resident memory in bytes.
type usage struct{ self, others int64 }

// process is what /proc/<pid>/stat tells.
type process struct {
	name     string
	parent   int
	resident int64
}

// measure returns what the process pid uses, and those of its descendants that Watch is about.
func measure(proc string, pid int, child string) (usage, error) {
	files, err := filepath.Glob(filepath.Join(proc, "[0-9]*", "stat"))
	if err != nil {
		return usage{}, err
	}
	all := map[int]process{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			continue // it has ended meanwhile
		}
		if id, p, ok := parseStat(string(text)); ok {
			all[id] = p
		}
	}
	u := usage{self: all[pid].resident}
	for id, p := range all {
		if descends(all, id, pid, child) {
			u.others += p.resident
		}
	}
	return u, nil
}

// parseStat reads a line of proc(5)'s stat: the fields after the name, which may hold anything, are counted from the last bracket.
func parseStat(line string) (id int, p process, ok bool) {
	before, after, found := cutLast(line, ") ")
	number, name, hasName := strings.Cut(before, " (")
	fields := strings.Fields(after)
	if !found || !hasName || len(fields) < 22 {
		return 0, p, false
	}
	id, idErr := strconv.Atoi(number)
	parent, parentErr := strconv.Atoi(fields[1])
	pages, pagesErr := strconv.ParseInt(fields[21], 10, 64)
	p = process{name: name, parent: parent, resident: pages * int64(os.Getpagesize())}
	return id, p, idErr == nil && parentErr == nil && pagesErr == nil
}

func cutLast(text, separator string) (before, after string, found bool) {
	i := strings.LastIndex(text, separator)
	if i < 0 {
		return text, "", false
	}
	return text[:i], text[i+len(separator):], true
}

// descends tells whether the process id is a child of root of that name, or descends from one.
func descends(all map[int]process, id, root int, child string) bool {
	for range all { // a tree that changes while it is read might have a loop
		p, ok := all[id]
		if !ok {
			return false
		}
		if p.parent == root {
			return child == "" || p.name == child
		}
		id = p.parent
	}
	return false
}
