package nodeagent

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"strconv"
	"time"

	"k8s.io/apimachinery/pkg/types"
)

// Handler answers what the API server asks a kubelet: the logs of containers. It admits no one else
// than its server does, which must know the API server by its certificate.
func (a *Agent) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /containerLogs/{namespace}/{pod}/{container}", a.serveLogs)
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, "the lab's node agent serves logs only", http.StatusNotImplemented)
	})
	return mux
}

// logOptions are those of kubectl logs. Times are not among them: the lab keeps none of a line.
type logOptions struct {
	tail             int64 // lines from the end; -1 is all
	limit            int64 // bytes; 0 is all
	follow, previous bool
}

func logOptionsOf(r *http.Request) (o logOptions, err error) {
	query := r.URL.Query()
	o.tail = -1
	for name, number := range map[string]*int64{"tailLines": &o.tail, "limitBytes": &o.limit} {
		if text := query.Get(name); text != "" {
			if *number, err = strconv.ParseInt(text, 10, 64); err != nil {
				return o, err
			}
		}
	}
	o.follow, o.previous = query.Get("follow") == "true", query.Get("previous") == "true"
	for _, name := range []string{"timestamps", "sinceSeconds", "sinceTime"} {
		if text := query.Get(name); text != "" && text != "false" {
			return o, fmt.Errorf("the lab does not know when a line was written; leave %s out", name)
		}
	}
	return o, nil
}

func (a *Agent) serveLogs(w http.ResponseWriter, r *http.Request) {
	// The API server hands the text on with this code, and not with others that fit better
	// (Kubernetes 1.35, k8s.io/apiserver, pkg/registry/generic/rest/response_checker.go).
	refuse := func(why string) { http.Error(w, why, http.StatusBadRequest) }
	options, err := logOptionsOf(r)
	if err != nil {
		refuse(err.Error())
		return
	}
	name := types.NamespacedName{Namespace: r.PathValue("namespace"), Name: r.PathValue("pod")}
	p := a.find(name)
	if p == nil {
		refuse(fmt.Sprintf("pod %s is not here", name))
		return
	}
	if !p.executed {
		refuse(p.why)
		return
	}
	file, err := p.openLog(r.PathValue("container"), options.previous)
	if err != nil {
		refuse(err.Error())
		return
	}
	defer file.Close()
	w.Header().Set("Content-Type", "text/plain")
	if err := writeLog(r.Context(), w, file, options, p); err != nil {
		panic(http.ErrAbortHandler) // the answer has begun: the only way to report it is to break it off
	}
}

// openLog returns the log of the last start of a container, or of the one before.
func (p *pod) openLog(container string, previous bool) (*os.File, error) {
	of := p.seen()
	for _, s := range append(of.Status.InitContainerStatuses, of.Status.ContainerStatuses...) {
		if s.Name != container {
			continue
		}
		attempt := int(s.RestartCount)
		if previous {
			attempt--
		}
		file, err := os.Open(p.logFile(container, attempt))
		if errors.Is(err, fs.ErrNotExist) && !previous && attempt > 0 { // it is waiting to be started again
			file, err = os.Open(p.logFile(container, attempt-1))
		}
		if errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("container %q in pod %q has no such log", container, p.name.Name)
		}
		return file, err
	}
	return nil, fmt.Errorf("container %q not found in pod %q", container, p.name.Name)
}

// writeLog copies a log, and goes on with what is written later until the pod has ended.
func writeLog(ctx context.Context, to io.Writer, file *os.File, options logOptions, p *pod) error {
	if options.tail >= 0 {
		if err := seekTail(file, options.tail); err != nil {
			return err
		}
	}
	var from io.Reader = file
	if options.limit > 0 {
		from = io.LimitReader(file, options.limit)
	}
	for last := false; ; {
		if _, err := io.Copy(to, from); err != nil || !options.follow || last {
			return err
		}
		if flusher, ok := to.(http.Flusher); ok {
			flusher.Flush()
		}
		select {
		case <-ctx.Done():
			return nil
		case <-p.ended:
			last = true // once more, for its last lines
		case <-time.After(200 * time.Millisecond):
		}
	}
}

// seekTail moves to the beginning of the last lines.
func seekTail(file *os.File, lines int64) error {
	var starts []int64
	at := int64(0)
	for reader := bufio.NewReader(file); ; {
		line, err := reader.ReadString('\n')
		if line != "" {
			starts = append(starts, at)
			at += int64(len(line))
		}
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
	}
	if first := int64(len(starts)) - lines; first >= 0 && lines > 0 {
		at = starts[first]
	} else if first < 0 {
		at = 0
	}
	_, err := file.Seek(at, io.SeekStart)
	return err
}
