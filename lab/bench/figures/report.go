package figures

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Report is what one machine measured.
type Report struct {
	// Commit is the short hash of the measured commit, Go the version that compiled it, and Cores
	// the number of processors.
	Commit string `json:"commit"`
	Go     string `json:"go"`
	Cores  int    `json:"cores"`
	Rows   []Row  `json:"rows"`
}

// Marks are the lines between which a document has the table.
const (
	beginMark = "<!-- The table is written by `make bench`. -->"
	endMark   = "<!-- The end of the table. -->"
)

// figuresFile is the report for machines, beside the document.
func figuresFile(document string) string {
	return strings.TrimSuffix(document, filepath.Ext(document)) + ".json"
}

// Read returns the report beside a document, which is empty when there is none yet.
func Read(document string) (Report, error) {
	var r Report
	text, err := os.ReadFile(figuresFile(document))
	if errors.Is(err, fs.ErrNotExist) {
		return r, nil
	}
	if err == nil {
		err = json.Unmarshal(text, &r)
	}
	return r, err
}

// With returns the report with new rows. A row with a known id replaces the old one; rows with new
// ids come last.
func (r Report) With(rows []Row) Report {
	r.Rows = slices.Clone(r.Rows)
	for _, row := range rows {
		if i := slices.IndexFunc(r.Rows, func(old Row) bool { return old.ID == row.ID }); i >= 0 {
			r.Rows[i] = row
		} else {
			r.Rows = append(r.Rows, row)
		}
	}
	return r
}

// Write puts the report's table into a document, between the marks, and the figures for machines
// beside it.
func (r Report) Write(document string) error {
	text, err := os.ReadFile(document)
	if err != nil {
		return err
	}
	text, err = r.into(text)
	if err != nil {
		return fmt.Errorf("%s: %w", document, err)
	}
	var figures bytes.Buffer
	encoder := json.NewEncoder(&figures)
	encoder.SetIndent("", "  ")
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(r); err != nil {
		return err
	}
	return errors.Join(os.WriteFile(figuresFile(document), figures.Bytes(), 0o644), os.WriteFile(document, text, 0o644))
}

func (r Report) into(document []byte) ([]byte, error) {
	before, rest, begins := strings.Cut(string(document), beginMark)
	_, after, ends := strings.Cut(rest, endMark)
	if !begins || !ends {
		return nil, fmt.Errorf("there is no place for the table: a line %q and a line %q", beginMark, endMark)
	}
	table := fmt.Sprintf("Measured on %d cores with %s at commit %s.\n\n%s\n", r.Cores, r.Go, r.Commit, Markdown(r.Rows))
	return []byte(before + beginMark + "\n\n" + table + "\n" + endMark + after), nil
}
