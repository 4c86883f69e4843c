package progress

import (
	"bytes"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// screen collects what a display writes; the display's goroutines write while the test reads.
type screen struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (s *screen) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.buf.Write(p)
}

func (s *screen) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.buf.String()
}

// rows plays the output back as a terminal does, and returns what a user sees at the end.
func (s *screen) rows() []string {
	var rows []string
	row := 0
	for _, token := range regexp.MustCompile(`\x1b\[[0-9;]*[A-Za-z]|\n|[^\x1b\n]+`).FindAllString(s.String(), -1) {
		for len(rows) <= row {
			rows = append(rows, "")
		}
		switch {
		case token == "\n":
			row++
		case strings.HasSuffix(token, "A") && strings.HasPrefix(token, "\x1b"):
			row--
		case strings.HasSuffix(token, "K") && strings.HasPrefix(token, "\x1b"):
			rows[row] = ""
		case strings.HasPrefix(token, "\x1b"):
		default:
			rows[row] += token
		}
	}
	return rows
}

func TestUnit_PlainDisplayShowsStartHeartbeatAndEnd(t *testing.T) {
	var out screen
	d := newDisplay(&out, false, 20*time.Millisecond)

	good, bad := d.Start("etcd"), d.Start("gateway")
	good.Update("compiling\n3 packages")
	require.Eventually(t, func() bool {
		return strings.Contains(out.String(), "etcd … 0s  compiling 3 packages\n")
	}, 5*time.Second, 5*time.Millisecond, "the heartbeat carries the latest detail on one line")
	good.Done("built")
	bad.Fail(errors.New("no route\nat line 2"))
	d.Printf("%d left", 0)
	d.Stop()
	ended := out.String()
	time.Sleep(60 * time.Millisecond)

	assert.Equal(t, ended, out.String(), "an ended step has no heartbeat")
	assert.Regexp(t, `(?m)^etcd …$`, ended)
	assert.Regexp(t, `(?m)^etcd: done  built \(\d.*s\)$`, ended)
	assert.Regexp(t, `(?m)^gateway: failed  no route \(\d.*s\)$`, ended)
	assert.True(t, strings.HasSuffix(ended, "0 left\n"))
	assert.NotContains(t, ended, "\x1b", "no escape sequences in a log")
}

func TestUnit_ADetailIsTheLatestLineOfAnotherCommand(t *testing.T) {
	var out screen
	d := newDisplay(&out, false, 20*time.Millisecond)
	step := d.Start("base")
	defer d.Stop()
	lines := step.Lines()
	for _, text := range []string{"etcd …\netcd: do", "ne\nkube-apiserver … 509 of 693\nkubec"} {
		n, err := lines.Write([]byte(text))
		require.NoError(t, err)
		require.Equal(t, len(text), n)
	}
	require.Eventually(t, func() bool { return strings.Contains(out.String(), "kube-apiserver … 509 of 693\n") }, time.Minute, time.Millisecond)
	assert.NotContains(t, out.String(), "kubec\n")
}

func TestUnit_LiveDisplayEndsWithOneLinePerStepAndKeepsPrintedLines(t *testing.T) {
	t.Setenv("NO_COLOR", "1")
	var out screen
	d := newDisplay(&out, true, time.Hour)

	var wg sync.WaitGroup
	first := d.Start("first")
	for i := range 5 {
		s := d.Start(fmt.Sprintf("step-%d", i))
		wg.Go(func() {
			for n := range 40 {
				s.Update(fmt.Sprintf("%d", n))
				time.Sleep(10 * time.Millisecond)
			}
			s.Done("ready")
		})
	}
	time.Sleep(200 * time.Millisecond)
	d.Printf("a line above")
	wg.Wait()
	first.Fail(errors.New("broken"))
	d.Printf("a line after")
	d.Start("left running")
	d.Stop()
	d.Stop()

	all := strings.Join(out.rows(), "\n")
	for i := range 5 {
		assert.Len(t, regexp.MustCompile(fmt.Sprintf(`(?m)^ ✓ step-%d  ready.*\[\d.*s\]$`, i)).FindAllString(all, -1), 1, all)
	}
	assert.Regexp(t, `(?m)^ ✗ first  broken`, all)
	assert.Regexp(t, `(?m)^ ✗ left running  interrupted`, all)
	assert.Equal(t, 1, strings.Count(all, "a line above"), all)
	assert.Equal(t, 1, strings.Count(all, "a line after"), all)
	assert.NotRegexp(t, `[⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏]`, all, "no live line is left on the screen")
	assert.NotRegexp(t, "\x1b\\[[0-9;]*m", out.String(), "NO_COLOR is honoured")
}

func TestUnit_StepsAndDisplayEndOnlyOnce(t *testing.T) {
	var out screen
	d := newDisplay(&out, false, time.Hour)
	s := d.Start("once")
	s.Done("")
	s.Fail(errors.New("late"))
	s.Update("late")
	d.Stop()
	d.Start("too late").Done("")

	assert.Equal(t, 2, strings.Count(out.String(), "\n"), out.String())
}
