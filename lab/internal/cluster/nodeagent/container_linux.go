package nodeagent

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/prometheus/procfs"
	"golang.org/x/sys/unix"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// container is a process in namespaces of its own, with the program that began it and that stays
// outside of its root to serve the agent: the first process there, whose end ends all others.
type container struct {
	began   metav1.Time
	done    chan struct{} // closed when no process is left
	heard   chan struct{} // closed when the last answer has come
	process *exec.Cmd
	channel *net.UnixConn
	made    *plan

	killedForMemory atomic.Bool
	closing         sync.Once
	mu              sync.Mutex
	next            int
	waiting         map[int]chan answer
	listeners       []net.Listener
	forwarded       sync.WaitGroup
}

// request is what the agent asks of the program that began a container, and answer what it says.
// Each is one packet.
type request struct {
	ID   int    `json:"id"`
	Verb string `json:"verb"`
	// Plan is for start.
	Plan *plan `json:"plan,omitempty"`
	// From and To are addresses of the pod's network, for dial.
	From string `json:"from,omitempty"`
	To   string `json:"to,omitempty"`
	// Command is for exec, and Signal for signal.
	Command []string `json:"command,omitempty"`
	Signal  int      `json:"signal,omitempty"`
}

type answer struct {
	ID     int    `json:"id"`
	Error  string `json:"error,omitempty"`
	Output string `json:"output,omitempty"`
	Code   int    `json:"code,omitempty"`

	files []*os.File // sockets, which an answer carries
}

const (
	verbStart  = "start"
	verbDial   = "dial"
	verbExec   = "exec"
	verbSignal = "signal"
	// largestPacket is more than a plan has; the kernel's own limit is about 200 kB
	// (net.core.wmem_default).
	largestPacket = 160 << 10
	mostFiles     = 64
)

// Supported returns why pods cannot run as processes on this machine, with the remedy, or nil.
func Supported(ctx context.Context) error {
	probe := exec.CommandContext(ctx, "/proc/self/exe", Command, "--probe")
	probe.Env = []string{}
	probe.SysProcAttr = attributes(0, 0)
	said, err := probe.CombinedOutput()
	if err == nil {
		return nil
	}
	why := strings.TrimSpace(string(said))
	if why == "" {
		why = err.Error()
	}
	return fmt.Errorf("the application's pods do not run here, because this user may not make namespaces (%s); "+
		"allow it (on Ubuntu: sudo sysctl -w kernel.apparmor_restrict_unprivileged_userns=0; in a container: "+
		"--security-opt seccomp=unconfined --security-opt apparmor=unconfined --security-opt systempaths=unconfined), "+
		"and restart the lab", why)
}

// attributes make a process the first one of namespaces of its own. Its user is the lab's outside,
// and inside the container's. It gets the rights over its namespaces that it needs to set them up.
func attributes(user, group int64) *syscall.SysProcAttr {
	return &syscall.SysProcAttr{
		Cloneflags: unix.CLONE_NEWUSER | unix.CLONE_NEWNS | unix.CLONE_NEWNET | unix.CLONE_NEWPID |
			unix.CLONE_NEWUTS | unix.CLONE_NEWIPC,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: int(user), HostID: os.Geteuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: int(group), HostID: os.Getegid(), Size: 1}},
		AmbientCaps: []uintptr{
			unix.CAP_SYS_ADMIN, unix.CAP_SYS_CHROOT, unix.CAP_NET_ADMIN, unix.CAP_NET_BIND_SERVICE,
		},
		// Ctrl-C in the terminal reaches only the lab.
		Setpgid: true,
	}
}

// startContainer starts a container, with its output in a file. The error says why the program in
// it could not be started.
func (a *Agent) startContainer(ctx context.Context, made *plan, log string) (_ *container, err error) {
	if err := os.MkdirAll(filepath.Dir(log), 0o700); err != nil {
		return nil, err
	}
	output, err := os.OpenFile(log, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	defer output.Close() // the container has its own descriptor
	ours, theirs, err := pair()
	if err != nil {
		return nil, err
	}
	defer theirs.Close()
	process := exec.Command("/proc/self/exe", Command)
	process.Stdout, process.Stderr = output, output
	process.Env = []string{}
	process.ExtraFiles = []*os.File{theirs}
	process.SysProcAttr = attributes(made.User, made.Group)
	c := &container{
		began: metav1.Now(), done: make(chan struct{}), heard: make(chan struct{}), process: process, channel: ours, made: made,
		waiting: map[int]chan answer{},
	}
	if err := process.Start(); err != nil {
		return nil, errors.Join(err, ours.Close())
	}
	go func() {
		_ = process.Wait() // result tells how it ended
		close(c.done)
	}()
	go c.receive()
	started, err := c.ask(ctx, request{Verb: verbStart, Plan: made})
	if err == nil {
		err = c.serve(started.files)
	}
	if err != nil {
		c.kill()
		<-c.done
		c.close()
		return nil, err
	}
	return c, nil
}

// pair is a channel to the program that begins a container.
func pair() (ours *net.UnixConn, theirs *os.File, err error) {
	ends, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, err
	}
	theirs = os.NewFile(uintptr(ends[1]), "container")
	file := os.NewFile(uintptr(ends[0]), "agent")
	defer file.Close() // the connection has a descriptor of its own
	connection, err := net.FileConn(file)
	if err != nil {
		return nil, nil, errors.Join(err, theirs.Close())
	}
	ours, ok := connection.(*net.UnixConn)
	if !ok {
		return nil, nil, errors.Join(fmt.Errorf("a socket is a %T", connection), connection.Close(), theirs.Close())
	}
	return ours, theirs, nil
}

// ask sends a request, and returns the answer.
func (c *container) ask(ctx context.Context, r request) (answer, error) {
	answered := make(chan answer, 1)
	c.mu.Lock()
	c.next++
	r.ID = c.next
	c.waiting[r.ID] = answered
	c.mu.Unlock()
	defer func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		delete(c.waiting, r.ID)
	}()
	packet, err := json.Marshal(r)
	if err != nil {
		return answer{}, err
	}
	if len(packet) > largestPacket {
		return answer{}, fmt.Errorf("the container's environment and arguments have %d bytes; the lab takes %d", len(packet), largestPacket)
	}
	if _, err := c.channel.Write(packet); err != nil {
		return answer{}, fmt.Errorf("the container has ended: %w", err)
	}
	var a answer
	select {
	case a = <-answered:
	case <-c.heard:
		select {
		case a = <-answered: // a program may end before anyone looks
		default:
			return answer{}, errors.New("the container has ended")
		}
	case <-ctx.Done():
		return answer{}, context.Cause(ctx)
	}
	if a.Error != "" {
		return a, errors.New(a.Error)
	}
	return a, nil
}

// receive gives each answer to the one who asked.
func (c *container) receive() {
	defer close(c.heard)
	for {
		var a answer
		if err := readPacket(c.channel, &a, &a.files); err != nil {
			return // the container has ended
		}
		c.mu.Lock()
		asked := c.waiting[a.ID]
		delete(c.waiting, a.ID)
		c.mu.Unlock()
		if asked == nil {
			for _, file := range a.files {
				_ = file.Close() // the one who asked has given up
			}
			continue
		}
		asked <- a
	}
}

// readPacket reads a packet, and the sockets that came with it.
func readPacket(from *net.UnixConn, into any, files *[]*os.File) error {
	content, control := make([]byte, largestPacket), make([]byte, unix.CmsgSpace(4*mostFiles))
	n, controls, _, _, err := from.ReadMsgUnix(content, control)
	if err != nil {
		return err
	}
	if n == 0 {
		return io.EOF
	}
	messages, err := unix.ParseSocketControlMessage(control[:controls])
	if err != nil {
		return err
	}
	for _, message := range messages {
		descriptors, err := unix.ParseUnixRights(&message)
		if err != nil {
			continue // it carries something else
		}
		for _, descriptor := range descriptors {
			unix.CloseOnExec(descriptor)
			*files = append(*files, os.NewFile(uintptr(descriptor), "socket"))
		}
	}
	return json.Unmarshal(content[:n], into)
}

// serve sends what the container connects to outside of the cluster on its way.
func (c *container) serve(listeners []*os.File) error {
	if len(listeners) != len(c.made.forward) {
		return fmt.Errorf("the container listens for %d servers, and there are %d", len(listeners), len(c.made.forward))
	}
	for i, file := range listeners {
		listener, err := net.FileListener(file)
		if err := errors.Join(err, file.Close()); err != nil {
			return err
		}
		c.listeners = append(c.listeners, listener)
		to := c.made.forward[i]
		c.forwarded.Go(func() {
			for {
				connection, err := listener.Accept()
				if err != nil {
					return // it is closed
				}
				go forward(connection, to)
			}
		})
	}
	return nil
}

// forward connects two ends until both are done.
func forward(from net.Conn, to func() (net.Conn, error)) {
	defer from.Close()
	server, err := to()
	if err != nil {
		return // as a server that is away: the connection ends
	}
	defer server.Close()
	var both sync.WaitGroup
	flow := func(to, from net.Conn) {
		_, _ = io.Copy(to, from) // the ends tell each other
		if half, ok := to.(*net.TCPConn); ok {
			_ = half.CloseWrite()
		}
	}
	both.Go(func() { flow(server, from) })
	both.Go(func() { flow(from, server) })
	both.Wait()
}

// dial connects to an address of the container's network, from another address.
func (c *container) dial(ctx context.Context, from netip.Addr, to netip.AddrPort) (net.Conn, error) {
	r := request{Verb: verbDial, To: to.String()}
	if from.IsValid() {
		r.From = from.String()
	}
	a, err := c.ask(ctx, r)
	if err != nil {
		return nil, err
	}
	if len(a.files) != 1 {
		return nil, fmt.Errorf("connect to %s: no socket came back", to)
	}
	connection, err := net.FileConn(a.files[0])
	return connection, errors.Join(err, a.files[0].Close())
}

// exec runs a command in the container, and returns its output and its exit code.
func (c *container) exec(ctx context.Context, command []string) (output string, code int, err error) {
	a, err := c.ask(ctx, request{Verb: verbExec, Command: command})
	return a.Output, a.Code, err
}

// terminate asks the container's process to end.
func (c *container) terminate(ctx context.Context) {
	_, _ = c.ask(ctx, request{Verb: verbSignal, Signal: int(syscall.SIGTERM)}) // an error means that it has ended
}

// kill ends all processes of the container: the kernel does, when the first one ends.
func (c *container) kill() { _ = c.process.Process.Kill() }

func (c *container) killForMemory() {
	c.killedForMemory.Store(true)
	c.kill()
}

// close frees what the container had. All its processes must have ended.
func (c *container) close() {
	c.closing.Do(func() {
		_ = c.channel.Close()
		for _, listener := range c.listeners {
			_ = listener.Close()
		}
		c.forwarded.Wait()
		_ = c.made.remove() // the pod's folder is removed later
	})
}

// result is how the container ended, when done is closed.
func (c *container) result() (code int32, reason string) {
	state := c.process.ProcessState
	code = int32(state.ExitCode())
	if status, ok := state.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		code = 128 + int32(status.Signal())
	}
	switch {
	case c.killedForMemory.Load():
		return code, "OOMKilled"
	case code == 0:
		return 0, "Completed"
	default:
		return code, "Error"
	}
}

func (c *container) limit() uint64 { return c.made.memory }

// usage is the processor time and the memory of the container's own processes.
func (c *container) usage() (time.Duration, uint64, error) {
	first := c.process.Process.Pid
	// Any thread of the first process may have started the container's.
	threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", first))
	if err != nil {
		return 0, 0, err
	}
	var children []byte
	for _, thread := range threads {
		more, err := os.ReadFile(thread)
		if err == nil { // else the thread has ended
			children = append(append(children, more...), ' ')
		}
	}
	system, err := procfs.NewDefaultFS()
	if err != nil {
		return 0, 0, err
	}
	var used time.Duration
	var memory uint64
	for word := range bytes.FieldsSeq(children) {
		pid, err := strconv.Atoi(string(word))
		if err != nil {
			return 0, 0, err
		}
		process, err := system.Proc(pid)
		if err != nil {
			continue // it has ended
		}
		stat, err := process.Stat()
		if err != nil {
			continue
		}
		used += time.Duration(stat.CPUTime() * float64(time.Second))
		memory += uint64(stat.ResidentMemory())
	}
	return used, memory, nil
}
