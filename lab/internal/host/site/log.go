package site

import (
	"io"
	"os"
	"strings"
)

// logEnd is the part of a log that an error shows, in bytes.
const logEnd = 4 << 10

// EndOfLog returns the last lines of the log at path, for an error to show.
func EndOfLog(path string) (string, error) {
	file, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer file.Close() // only read
	info, err := file.Stat()
	if err != nil {
		return "", err
	}
	cut := info.Size() > logEnd
	if cut {
		if _, err := file.Seek(-logEnd, io.SeekEnd); err != nil {
			return "", err
		}
	}
	text, err := io.ReadAll(file)
	if err != nil {
		return "", err
	}
	end := string(text)
	if cut {
		_, end, _ = strings.Cut(end, "\n") // from the beginning of a line
	}
	return strings.TrimSpace(end), nil
}
