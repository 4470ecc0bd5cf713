package apnsclient

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strconv"
)

// maxSOCKSText is how long a name, a user and a password may be.
const maxSOCKSText = 255

// The numbers of SOCKS5 (RFC 1928 sections 3 to 6, RFC 1929 section 2).
const (
	socksVersion      = 5
	socksNoAuth       = 0
	socksPassword     = 2
	socksNoMethod     = 0xff
	socksAuthVersion  = 1
	socksConnect      = 1
	socksIPv4         = 1
	socksName         = 3
	socksIPv6         = 4
	socksSucceeded    = 0
	socksUnauthorised = 2
)

// socksReplies has what a proxy may answer (RFC 1928 section 6).
var socksReplies = map[byte]string{
	1:                 "it has a fault",
	socksUnauthorised: "its rules do not allow the connection",
	3:                 "the network cannot be reached from it",
	4:                 "the host cannot be reached from it, or it does not know the name",
	5:                 "the connection was refused to it",
	6:                 "it got no answer in time",
	7:                 "it does not know CONNECT",
	8:                 "it does not take this type of address",
}

// socks has the proxy connect to addr (RFC 1928).
//
//	greeting  version 1 · number of methods 1 · methods …
//	          version 1 · method 1
//	password  version 1 · length 1 · user … · length 1 · password …
//	          version 1 · status 1
//	request   version 1 · command 1 · 0 · type of address 1 · address … · port 2
//	          version 1 · reply 1 · 0 · type of address 1 · address … · port 2
func (p *proxy) socks(c io.ReadWriter, addr string) error {
	e := &ProxyError{Proxy: p.addr}
	fault := func(doing string, err error) error {
		e.Problem, e.Err = doing, err
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			e.Err = errors.New("it closed the connection")
		}
		return e
	}
	said := func(problem, remedy string) error {
		e.Problem, e.Remedy = problem, remedy
		return e
	}

	methods := []byte{socksNoAuth}
	if p.user != nil {
		methods = append(methods, socksPassword)
	}
	var answer [4]byte
	if err := ask(c, append([]byte{socksVersion, byte(len(methods))}, methods...), answer[:2]); err != nil {
		return fault("greeting it", err)
	}
	switch version, method := answer[0], answer[1]; {
	case version != socksVersion:
		return said("it does not speak SOCKS5", "see whether this is the address of a SOCKS5 proxy")
	case method == socksNoAuth:
	case method == socksPassword && p.user != nil:
		if err := ask(c, p.socksPassword(), answer[:2]); err != nil {
			return fault("giving it user and password", err)
		}
		if answer[1] != 0 {
			return said("it refused user and password", "those in the proxy's URL are wrong")
		}
	case method == socksNoMethod && p.user == nil:
		return said("it wants to know who asks", "give a user and password in the proxy's URL")
	default:
		return said("it wants another proof than user and password", "")
	}

	request, err := socksRequest(addr)
	if err != nil {
		return fault("asking it to connect", err)
	}
	if err := ask(c, request, answer[:]); err != nil {
		return fault("asking it to connect to "+addr, err)
	}
	if reply := answer[1]; reply != socksSucceeded {
		text, ok := socksReplies[reply]
		if !ok {
			text = fmt.Sprintf("reply %d", reply)
		}
		remedy := ""
		if reply == socksUnauthorised {
			remedy = "have it allow this host and port; Apple's gateways listen on 2197 too"
		}
		return said("it does not connect to "+addr+": "+text, remedy)
	}
	// Where it connects from is of no interest, but has to be read.
	var left int
	switch answer[3] {
	case socksIPv4:
		left = 4
	case socksIPv6:
		left = 16
	case socksName:
		var length [1]byte
		if _, err := io.ReadFull(c, length[:]); err != nil {
			return fault("reading its answer", err)
		}
		left = int(length[0])
	default:
		return said("its answer makes no sense", "see whether this is the address of a SOCKS5 proxy")
	}
	if _, err := io.ReadFull(c, make([]byte, left+2)); err != nil {
		return fault("reading its answer", err)
	}
	return nil
}

func (p *proxy) socksPassword() []byte {
	name := p.user.Username()
	password, _ := p.user.Password()
	b := append([]byte{socksAuthVersion, byte(len(name))}, name...)
	b = append(b, byte(len(password)))
	return append(b, password...)
}

// socksRequest asks for a connection to addr, whose host stays a name.
func socksRequest(addr string) ([]byte, error) {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, err
	}
	number, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return nil, err
	}
	b := []byte{socksVersion, socksConnect, 0}
	ip, err := netip.ParseAddr(host)
	switch {
	case err != nil && len(host) > maxSOCKSText:
		return nil, fmt.Errorf("the name of the gateway has %d bytes, at most %d are possible", len(host), maxSOCKSText)
	case err != nil:
		b = append(b, socksName, byte(len(host)))
		b = append(b, host...)
	case ip.Unmap().Is4():
		b = append(append(b, socksIPv4), ip.Unmap().AsSlice()...)
	default:
		b = append(append(b, socksIPv6), ip.AsSlice()...)
	}
	return append(b, byte(number>>8), byte(number)), nil
}

// ask writes b and reads the whole of answer.
func ask(c io.ReadWriter, b, answer []byte) error {
	if _, err := c.Write(b); err != nil {
		return err
	}
	_, err := io.ReadFull(c, answer)
	return err
}
