package command

import (
	"fmt"
	"strings"

	"github.com/gridos/sharedinfra/internal/cli"
	"github.com/gridos/sharedinfra/lab/internal/host/site"
)

// interruptedError is the end of a command that was told to stop.
type interruptedError struct {
	verb string
	site site.Site
	err  error // all that went wrong, the interruption itself too
}

// Error says how to go on, and what went wrong besides.
func (e interruptedError) Error() string {
	command := func(verb string) string { return "`" + e.site.Command(verb) + "`" }
	text := "Stopped."
	switch e.verb {
	case "up":
		text = fmt.Sprintf("Stopped. %s goes on from here, %s deletes everything.", command("up"), command("down"))
	case "preview", "diff":
		text = "Stopped. Nothing was changed."
	case "recover":
		text = fmt.Sprintf("Stopped. %s goes on from here.", command("recover"))
	case "down":
		text = fmt.Sprintf("Stopped. %s goes on from here.", command("down"))
	}
	lines := []string{text}
	for _, err := range cli.BesidesInterruption(e.err) {
		lines = append(lines, "Error: "+err.Error())
	}
	return strings.Join(lines, "\n")
}

// Unwrap returns all that went wrong.
func (e interruptedError) Unwrap() error { return e.err }
