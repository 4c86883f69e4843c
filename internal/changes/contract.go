package changes

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/jedib0t/go-pretty/v6/text"

	"github.com/gridos/sharedinfra/stacks/contract"
)

// These bound what people are shown, so that a comment has room for the rest: of outputs that
// break, of consumers of all, and of consumers of one output.
const mostBreaks, mostConsumers, mostConsumersOfOne = 20, 50, 5

// contractOf is the change of the contract in reports: those of one pull request have the same.
func contractOf(reports []Report) []contract.Change {
	var found []contract.Change
	for _, r := range reports {
		if r.Contract != nil && !slices.ContainsFunc(found, func(c contract.Change) bool { return reflect.DeepEqual(c, *r.Contract) }) {
			found = append(found, *r.Contract)
		}
	}
	return found
}

// Broken are the changes of outputs in reports that may not be made, each with whom it concerns.
func Broken(reports []Report) []string {
	var lines []string
	for _, change := range contractOf(reports) {
		for _, b := range change.Refused() {
			lines = append(lines, fmt.Sprintf("%s.%s %s%s. %s",
				b.Project, b.Output, b.What, consumersOf(b, len(b.Consumers), printable), b.Refused))
		}
	}
	return lines
}

// concerned are the consumers of outputs that break, each once and sorted, and those among them
// whose break is refused.
func concerned(c contract.Change) (all, broken []string) {
	for _, b := range c.Breaks {
		all = append(all, b.Consumers...)
		if b.Refused != "" {
			broken = append(broken, b.Consumers...)
		}
	}
	return unique(all), unique(broken)
}

// writeContract writes which outputs change that others read, and whom that concerns.
func writeContract(out *printer, c contract.Change) {
	refused := c.Refused()
	all, broken := concerned(c)
	out.line("")
	if len(refused) > 0 {
		out.line("> [!CAUTION]")
	} else {
		out.line("> [!NOTE]")
	}
	out.line("> **outputs** that others read: %s.", contractVerdict(c, len(all), len(broken)))
	if len(all) > 0 {
		out.line(">")
		out.line("> Whom it concerns: %s.", joined(all, mostConsumers, code))
	}
	for _, b := range c.Breaks[:min(len(c.Breaks), mostBreaks)] {
		out.line(">")
		out.line("> %s %s%s.", code(b.Project+"."+b.Output), plain(b.What), consumersOf(b, mostConsumersOfOne, code))
		if b.Refused != "" {
			out.line("> Refused: %s.", plain(b.Refused))
		}
	}
	if more := len(c.Breaks) - mostBreaks; more > 0 {
		out.line(">")
		out.line("> And %d more; the report's JSON, an artifact of the run, has all.", more)
	}
	if len(c.Added) > 0 {
		out.line(">")
		out.line("> New, which breaks no reader: %s.", joined(c.Added, mostConsumers, code))
	}
}

// writeContractText is writeContract for a terminal.
func writeContractText(out *printer, c contract.Change, paint func(Level, string) string) {
	all, broken := concerned(c)
	out.line("")
	out.line("outputs that others read: %s", contractVerdict(c, len(all), len(broken)))
	for _, b := range c.Breaks {
		verdict := "agreed   "
		if b.Refused != "" {
			verdict = paint(Dangerous, "refused  ")
		}
		out.line("%s  %s %s%s", verdict, printable(b.Project+"."+b.Output), printable(b.What), consumersOf(b, len(b.Consumers), printable))
		if b.Refused != "" {
			out.line("           %s", printable(b.Refused))
		}
	}
	if len(c.Added) > 0 {
		out.line("new        %s", joined(c.Added, len(c.Added), printable))
	}
}

// contractVerdict sums a change of the contract up.
func contractVerdict(c contract.Change, all, broken int) string {
	switch refused := len(c.Refused()); {
	case len(c.Breaks) == 0:
		return counted(len(c.Added), "output") + " more, no reader breaks"
	case refused == 0:
		return counted(len(c.Breaks), "breaking change") + ", for which all readers are ready: " + counted(all, "consumer") + " concerned"
	case broken == 0:
		return counted(refused, "change") + " refused, no registered consumer concerned"
	default:
		return counted(refused, "change") + " refused, " + counted(broken, "consumer") + " would break"
	}
}

// consumersOf says whom a break concerns.
func consumersOf(b contract.Break, most int, quoted func(string) string) string {
	if len(b.Consumers) == 0 {
		return ", and no registered consumer reads it"
	}
	return ", which concerns " + joined(b.Consumers, most, quoted)
}

// joined lists so many names at most.
func joined(names []string, most int, quoted func(string) string) string {
	shown := make([]string, 0, most)
	for _, name := range names[:min(len(names), most)] {
		shown = append(shown, quoted(text.Snip(name, widest, "…")))
	}
	list := strings.Join(shown, ", ")
	if more := len(names) - most; more > 0 {
		list += " and " + counted(more, "other")
	}
	return list
}
