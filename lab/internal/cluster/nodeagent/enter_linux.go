package nodeagent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// channelDescriptor is the channel to the agent, the first of exec.Cmd's ExtraFiles.
const channelDescriptor = 3

// Enter is the body of the hidden command Command: the first process of a container. It sets the
// namespaces up in which it was started, starts the program, and does what the agent asks until the
// program ends; then it ends with the same code. It ends too when the agent does, and with it the
// kernel ends every process of the container.
func Enter(ctx context.Context, arguments []string) error {
	if slices.Contains(arguments, "--probe") {
		return errors.Join(raiseNetwork(), unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""))
	}
	file := os.NewFile(channelDescriptor, "agent")
	connection, err := net.FileConn(file)
	if err := errors.Join(err, file.Close()); err != nil {
		return fmt.Errorf("this command is the lab's own; use `up`: %w", err)
	}
	channel, ok := connection.(*net.UnixConn)
	if !ok {
		return fmt.Errorf("this command is the lab's own; use `up`: the channel is a %T", connection)
	}
	signal.Ignore(syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	e := &entered{channel: channel}
	var first request
	if err := readPacket(channel, &first, new([]*os.File)); err != nil {
		return err
	}
	e.plan = first.Plan
	sockets, err := e.begin(ctx)
	if err != nil {
		e.say(answer{ID: first.ID, Error: err.Error()})
		return err
	}
	e.say(answer{ID: first.ID}, sockets...)
	go e.obey()
	return e.wait()
}

// entered is a container from inside.
type entered struct {
	channel *net.UnixConn
	plan    *plan
	program *exec.Cmd
	mu      sync.Mutex // one packet at a time
}

// begin sets the container up and starts its program. It returns the sockets that listen for the
// servers outside.
func (e *entered) begin(ctx context.Context) (sockets []*os.File, err error) {
	if err := raiseNetwork(); err != nil {
		return nil, fmt.Errorf("set the pod's network up: %w", err)
	}
	if err := unix.Sethostname([]byte(e.plan.Hostname)); err != nil {
		return nil, fmt.Errorf("set the host's name: %w", err)
	}
	for _, address := range e.plan.Listen {
		listener, err := new(net.ListenConfig).Listen(ctx, "tcp4", address)
		if err != nil {
			return nil, fmt.Errorf("listen for a server outside of the cluster: %w", err)
		}
		tcp, ok := listener.(*net.TCPListener)
		if !ok {
			return nil, fmt.Errorf("listen for a server outside of the cluster: a listener is a %T", listener)
		}
		socket, err := tcp.File()
		if err := errors.Join(err, tcp.Close()); err != nil {
			return nil, err
		}
		sockets = append(sockets, socket)
	}
	if err := e.mount(); err != nil {
		return nil, err
	}
	path, err := e.find(e.plan.Command[0])
	if err != nil {
		return nil, err
	}
	e.program = e.command(path, e.plan.Command)
	e.program.Stdout, e.program.Stderr = os.Stdout, os.Stderr
	if err := spawn(e.program); err != nil {
		return nil, fmt.Errorf("start %s: %w", e.plan.Command[0], err)
	}
	return sockets, nil
}

// mount makes the container's file system.
func (e *entered) mount() error {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("separate the mounts: %w", err)
	}
	root := e.plan.Root
	if err := bind(root, root, false); err != nil {
		return err
	}
	for _, m := range e.plan.Mounts {
		if err := bind(m.Source, filepath.Join(root, m.Target), m.ReadOnly); err != nil {
			return err
		}
	}
	// Where the system hides parts of /proc, as in Docker, it lets no one mount another; a container
	// then sees none.
	_ = unix.Mount("proc", filepath.Join(root, "proc"), "proc", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, "")
	if e.plan.ReadOnly {
		return readOnly(root)
	}
	return nil
}

func bind(source, target string, only bool) error {
	if err := unix.Mount(source, target, "", unix.MS_BIND|unix.MS_REC, ""); err != nil {
		return fmt.Errorf("mount %s: %w", target, err)
	}
	if only {
		return readOnly(target)
	}
	return nil
}

// readOnly keeps the restrictions that a mount has: in a user namespace they are locked
// (mount_namespaces(7)).
func readOnly(target string) error {
	var found unix.Statfs_t
	if err := unix.Statfs(target, &found); err != nil {
		return fmt.Errorf("mount %s: %w", target, err)
	}
	const kept = unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC | unix.MS_NOATIME | unix.MS_NODIRATIME
	flags := uintptr(found.Flags)&kept | unix.MS_BIND | unix.MS_REMOUNT | unix.MS_RDONLY
	if err := unix.Mount("", target, "", flags, ""); err != nil {
		return fmt.Errorf("mount %s to be read only: %w", target, err)
	}
	return nil
}

// raiseNetwork makes every address under 10.0.0.0/8 one of the network's loopback interface, where
// the pod and all that it talks to have theirs.
func raiseNetwork() error {
	socket, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(socket)
	up, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	up.SetUint16(unix.IFF_UP)
	if err := unix.IoctlIfreq(socket, unix.SIOCSIFFLAGS, up); err != nil {
		return err
	}
	for _, set := range []struct {
		what    uint
		address netip.Addr
	}{{unix.SIOCSIFADDR, network.Addr().Next()}, {unix.SIOCSIFNETMASK, netmask}} {
		alias, err := unix.NewIfreq("lo:1")
		if err != nil {
			return err
		}
		if err := alias.SetInet4Addr(set.address.AsSlice()); err != nil {
			return err
		}
		if err := unix.IoctlIfreq(socket, set.what, alias); err != nil {
			return err
		}
	}
	return nil
}

// find returns the path of a program, as in the container's root.
func (e *entered) find(name string) (string, error) {
	if strings.Contains(name, "/") {
		return name, nil
	}
	for _, variable := range e.plan.Env {
		value, is := strings.CutPrefix(variable, "PATH=")
		if !is {
			continue
		}
		for _, dir := range filepath.SplitList(value) {
			if info, err := os.Stat(filepath.Join(e.plan.Root, dir, name)); err == nil && info.Mode()&0o111 != 0 {
				return filepath.Join(dir, name), nil
			}
		}
	}
	return "", fmt.Errorf("exec: %q: executable file not found in $PATH", name)
}

func (e *entered) command(path string, arguments []string) *exec.Cmd {
	dir := e.plan.Dir
	if dir == "" {
		dir = "/"
	}
	return &exec.Cmd{
		Path: path, Args: arguments, Env: e.plan.Env, Dir: dir,
		SysProcAttr: &syscall.SysProcAttr{Chroot: e.plan.Root, Setsid: true},
	}
}

// spawn starts a program without the rights over the namespaces, which it would inherit from the
// thread that starts it. A user other than 0 has none then, and cannot get any.
func spawn(program *exec.Cmd) error {
	started := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // and for ever: the thread ends with this goroutine
		err := unix.Prctl(unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0)
		if err == nil {
			err = unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
		}
		if err == nil {
			err = program.Start()
		}
		started <- err
	}()
	return <-started
}

// wait ends with the program.
func (e *entered) wait() error {
	err := e.program.Wait()
	var ended *exec.ExitError
	if err != nil && !errors.As(err, &ended) {
		return err
	}
	status, ok := e.program.ProcessState.Sys().(syscall.WaitStatus)
	code := e.program.ProcessState.ExitCode()
	if ok && status.Signaled() {
		code = 128 + int(status.Signal())
	}
	os.Exit(code) //nolint:forbidigo // the first process of a container ends as its program does
	return nil
}

// obey does what the agent asks, and ends the container when the agent is gone.
func (e *entered) obey() {
	for {
		var r request
		if err := readPacket(e.channel, &r, new([]*os.File)); err != nil {
			os.Exit(128 + int(syscall.SIGKILL)) //nolint:forbidigo // and so does the container
		}
		go e.do(r)
	}
}

func (e *entered) do(r request) {
	a := answer{ID: r.ID}
	var sockets []*os.File
	var err error
	switch r.Verb {
	case verbDial:
		var socket *os.File
		if socket, err = dialFrom(r.From, r.To); err == nil {
			sockets = append(sockets, socket)
		}
	case verbExec:
		a.Output, a.Code, err = e.exec(r.Command)
	case verbSignal:
		err = e.program.Process.Signal(syscall.Signal(r.Signal))
	default:
		err = fmt.Errorf("there is no verb %q", r.Verb)
	}
	if err != nil {
		a.Error = err.Error()
	}
	e.say(a, sockets...)
}

func dialFrom(from, to string) (*os.File, error) {
	var dialer net.Dialer
	if from != "" {
		address, err := netip.ParseAddr(from)
		if err != nil {
			return nil, err
		}
		dialer.LocalAddr = net.TCPAddrFromAddrPort(netip.AddrPortFrom(address, 0))
	}
	connection, err := dialer.Dial("tcp4", to)
	if err != nil {
		return nil, err
	}
	defer connection.Close() // the file has a descriptor of its own
	tcp, ok := connection.(*net.TCPConn)
	if !ok {
		return nil, fmt.Errorf("a connection is a %T", connection)
	}
	return tcp.File()
}

// mostOutput is as much of a command's output as the agent gets.
const mostOutput = 32 << 10

func (e *entered) exec(command []string) (output string, code int, err error) {
	path, err := e.find(command[0])
	if err != nil {
		return "", 0, err
	}
	program := e.command(path, command)
	var text strings.Builder
	program.Stdout, program.Stderr = &text, &text
	if err := spawn(program); err != nil {
		return "", 0, err
	}
	var ended *exec.ExitError
	if err := program.Wait(); err != nil && !errors.As(err, &ended) {
		return "", 0, err
	}
	output = text.String()
	return output[:min(len(output), mostOutput)], program.ProcessState.ExitCode(), nil
}

// say sends an answer, with sockets, which are closed here then.
func (e *entered) say(a answer, sockets ...*os.File) {
	packet, err := json.Marshal(a)
	if err != nil {
		return // its fields are texts and numbers
	}
	var rights []byte
	if len(sockets) > 0 {
		var descriptors []int
		for _, socket := range sockets {
			descriptors = append(descriptors, int(socket.Fd()))
		}
		rights = unix.UnixRights(descriptors...)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	_, _, _ = e.channel.WriteMsgUnix(packet, rights, nil) // an agent that is gone ends the container
	for _, socket := range sockets {
		_ = socket.Close()
	}
}
