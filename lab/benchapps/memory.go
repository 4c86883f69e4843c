package main

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// memoryInterval is how often memory is looked at: often enough for an operation of seconds, too seldom to slow it down.
const memoryInterval = 100 * time.Millisecond

// engineName is the name of the engine's process, whose descendants are its plugins.
const engineName = "pulumi"

// watchMemory watches the resident memory of the engine with its plugins, and that of this process, in which the program runs. The
// function that it returns ends that and returns the peaks in MiB, which are 0 where there is no /proc.
func watchMemory() (stop func() (engine, program float64, err error)) {
	done, ended := make(chan struct{}), make(chan struct{})
	var peaks usage
	var failure error
	go func() {
		defer close(ended)
		ticker := time.NewTicker(memoryInterval)
		defer ticker.Stop()
		for {
			now, err := memory("/proc", os.Getpid())
			if err != nil {
				failure = err
				return
			}
			peaks.engine, peaks.program = max(peaks.engine, now.engine), max(peaks.program, now.program)
			select {
			case <-done:
				return
			case <-ticker.C:
			}
		}
	}()
	return func() (engine, program float64, err error) {
		close(done)
		<-ended
		return float64(peaks.engine) / mebi, float64(peaks.program) / mebi, failure
	}
}

const mebi = 1 << 20

// usage is resident memory in bytes.
type usage struct{ engine, program int64 }

// process is what /proc/<pid>/stat tells.
type process struct {
	name     string
	parent   int
	resident int64
}

// memory returns what the process pid and the engines that it started use.
func memory(proc string, pid int) (usage, error) {
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
	u := usage{program: all[pid].resident}
	for id, p := range all {
		if ofEngine(all, id, pid) {
			u.engine += p.resident
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

// ofEngine tells whether the process id is an engine that the process root started, or descends from one. The API server, which
// root started too, does not.
func ofEngine(all map[int]process, id, root int) bool {
	for range all { // a tree that changes while it is read might have a loop
		p, ok := all[id]
		if !ok {
			return false
		}
		if p.parent == root {
			return p.name == engineName
		}
		id = p.parent
	}
	return false
}
