package mirror_test

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/tppfaas/tppfaas/prewarm"
	"github.com/tppfaas/tppfaas/prewarm/actuator"
	"github.com/tppfaas/tppfaas/prewarm/mirror"
	"github.com/tppfaas/tppfaas/prewarm/source"
)

// scenario is what happens, a line for each step, and the events that are told of it:
//
//	SECONDS STEP [OPTION…] => EVENT; EVENT…
//
// Steps are invoked, started and ended, of a call (c1) or of none; pass; warm N; result CONTAINER OUTCOME; load REPLICAS READY; scale N; restart. Options are cold
// and warm, and KEY=VALUE: f (function, a if it is not said), trace, parent, span, parentspan, act, i (instance), version, clock, and times in
// seconds: at (the observation's own, now if it is not said), begin, wait, asked, ready. An event is its kind with its invocation (v1), container (k1), how it was placed
// or by whom, and @SECONDS where it is not told at the time of the step.
type scenario struct {
	name  string
	o     mirror.Options
	steps string
}

var (
	own      = prewarm.Platform{Warm: true, Arrivals: true, IdleTimeout: 600 * time.Second, Late: prewarm.OwnContainer}
	takes    = prewarm.Platform{Warm: true, Arrivals: true, IdleTimeout: 600 * time.Second}
	starts   = prewarm.Platform{Warm: true, IdleTimeout: 600 * time.Second, Late: prewarm.OwnContainer}
	small    = prewarm.Platform{Warm: true, Arrivals: true, IdleTimeout: 600 * time.Second, Late: prewarm.OwnContainer, MemoryMB: 512}
	replicas = mirror.Options{Platform: prewarm.Platform{Warm: true, Arrivals: true}, Replicas: true, Functions: []prewarm.Function{{Name: "a", MemoryMB: 256, Concurrency: 2}}}
)

var scenarios = []scenario{
	{"a cold start, a warm one, and the idle timeout", mirror.Options{Platform: own}, `
		0    invoked c1         => arrived v1; placed v1 k1 cold
		1.2  started c1 cold    => started v1 k1
		1.5  ended c1           => ended v1 k1; idle k1
		10   invoked c2         => arrived v2; placed v2 k1 warm
		10.1 started c2 warm    => started v2 k1
		10.4 ended c2           => ended v2 k1; idle k1
		610.4 pass              => removed k1 platform`},
	{"late, and at its own time as far as the order allows", mirror.Options{Platform: own}, `
		5    invoked c1 at=4         => arrived v1 @4; placed v1 k1 cold @4
		6    started c1 cold at=5.5  => started v1 k1 @5.5
		7    invoked c2 at=5         => arrived v2 @5.5; placed v2 k2 cold @5.5
		8    ended c1 at=9           => ended v1 k1; idle k1`},
	{"everything twice", mirror.Options{Platform: own}, `
		0  invoked c1             => arrived v1; placed v1 k1 cold
		0  invoked c1             =>
		1  started c1 cold span=s => started v1 k1
		1  started c1 cold span=s =>
		1  started cold span=s    =>
		2  ended c1 span=s        => ended v1 k1; idle k1
		2  ended c1 span=s        =>
		3  invoked c1 at=0        =>`},
	{"the end first", mirror.Options{Platform: own}, `
		3  ended c1 cold begin=2  => arrived v1 @2; placed v1 k1 cold @2; started v1 k1 @2; ended v1 k1; idle k1
		4  started c1 cold at=2   =>
		5  invoked c1 at=1        =>
		603 pass                  => removed k1 platform`},
	{"the start first", mirror.Options{Platform: own}, `
		3  started c1 cold        => arrived v1; placed v1 k1 cold; started v1 k1
		4  invoked c1 at=1        =>
		5  ended c1               => ended v1 k1; idle k1`},
	{"no ids of calls: by the order in the trace", mirror.Options{Platform: own}, `
		0   invoked at=0           => arrived v1; placed v1 k1 cold
		0.1 invoked at=0.1         => arrived v2; placed v2 k2 cold
		0.2 invoked at=0.1         =>
		1   started cold at=1      => started v1 k1
		1   started cold at=1      =>
		1.1 started cold at=1.1    => started v2 k2
		2   ended at=2             => ended v1 k1; idle k1
		2.1 ended at=2.1           => ended v2 k2; idle k2`},
	{"ids that contradict are of different invocations", mirror.Options{Platform: own}, `
		0   invoked c1             => arrived v1; placed v1 k1 cold
		1   started c2 cold        => arrived v2; placed v2 k2 cold; started v2 k2
		1   started c1 cold        => started v1 k1`},
	{"the span tells which", mirror.Options{Platform: own}, `
		0   started span=s cold    => arrived v1; placed v1 k1 cold; started v1 k1
		0   started span=t cold    => arrived v2; placed v2 k2 cold; started v2 k2
		1   ended span=t           => ended v2 k2; idle k2`},
	{"a record by its activation, which names no trace", mirror.Options{Platform: own}, `
		0   started c1 act=x cold   => arrived v1; placed v1 k1 cold; started v1 k1
		1   ended act=x trace= i=p  => ended v1 k1; idle k1
		2   ended act=y trace= i=p warm begin=1.5 => arrived v2 @1.5; placed v2 k1 warm @1.5; started v2 k1 @1.5; ended v2 k1; idle k1`},
	{"parents by call and by span", mirror.Options{Platform: own}, `
		0   invoked c1                      => arrived v1; placed v1 k1 cold
		1   started c1 span=s cold          => started v1 k1
		1   invoked c2 f=b parent=c1        => arrived v2<v1; placed v2<v1 k2 cold
		1   invoked f=b parentspan=s at=0.9 => arrived v3<v1; placed v3<v1 k3 cold`},
	{"a run is heard of before its call, by whose announcement its caller is known", mirror.Options{Platform: own}, `
		0    invoked c1                         => arrived v1; placed v1 k1 cold
		1    started c1 span=s cold             => started v1 k1
		1.1  started c2 f=b cold                => arrived v2; placed v2 k2 cold; started v2 k2
		1.2  invoked c2 f=b parent=c1 at=1.05   => called v2<v1 @1.1
		1.3  invoked c2 f=b parent=c1 at=1.05   =>
		1.4  started c3 f=b parentspan=t cold   => arrived v3; placed v3 k3 cold; started v3 k3
		1.5  ended c2 f=b span=t                => called v3<v2 @1.4; ended v2 k2; idle k2`},
	{"a call is told only when its caller has been told of", mirror.Options{Platform: own}, `
		0    started c1 f=b parentspan=s cold   => arrived v1; placed v1 k1 cold; started v1 k1
		0.1  invoked c2 f=b parent=c3           => arrived v2; placed v2 k2 cold
		1    started c3 span=s at=-1 cold       => arrived v3 @0.1; placed v3 k3 cold @0.1; started v3 k3 @0.1; called v1<v3 @0.1; called v2<v3 @0.1`},
	{"nor on a platform without arrivals before its caller starts", mirror.Options{Platform: starts}, `
		0    started c1 f=b parent=c2 cold      => started v1 k1
		1    invoked c2                         =>
		2    started c2 cold at=1.5             => started v2 k2 @1.5; called v1<v2 @1.5`},
	{"a restart between the start and the call", mirror.Options{Platform: own}, `
		0    invoked c1                         => arrived v1; placed v1 k1 cold
		1    started c1 span=s cold             => started v1 k1
		1.1  started c2 f=b cold                => arrived v2; placed v2 k2 cold; started v2 k2
		1.2  restart                            => starting k1 platform @0; idle k1 @0; arrived v1 @0; placed v1 k1 warm @0; started v1 k1 @1; starting k2 platform @1.1; idle k2 @1.1; arrived v2 @1.1; placed v2 k2 warm @1.1; started v2 k2 @1.1
		1.3  invoked c2 f=b parent=c1 at=1.05   => called v2<v1 @1.1`},
	{"the end before the call", mirror.Options{Platform: own}, `
		0    invoked c1                         => arrived v1; placed v1 k1 cold
		1    started c1 span=s cold             => started v1 k1
		1.2  ended c2 f=b begin=1.1 cold        => arrived v2 @1.1; placed v2 k2 cold @1.1; started v2 k2 @1.1; ended v2 k2; idle k2
		1.3  invoked c2 f=b parent=c1 at=1.05   => called v2<v1 @1.2`},
	{"a caller that never comes, and a circle of three", mirror.Options{Platform: own}, `
		0    invoked c1 parent=c9               => arrived v1; placed v1 k1 cold
		1    invoked c2 parent=c4               => arrived v2; placed v2 k2 cold
		2    invoked c3 parent=c2               => arrived v3<v2; placed v3<v2 k3 cold
		3    invoked c4 parent=c3               => arrived v4<v3; placed v4<v3 k4 cold`},
	{"nothing is called by what it has called", mirror.Options{Platform: own}, `
		0  invoked c1 parent=c2       => arrived v1; placed v1 k1 cold
		1  invoked c2 f=b parent=c1   => arrived v2<v1; placed v2<v1 k2 cold`},
	{"a cold start shows that the idle one is gone", mirror.Options{Platform: own}, `
		0   ended c1 cold begin=-1 => arrived v1; placed v1 k1 cold; started v1 k1; ended v1 k1; idle k1
		10  invoked c2             => arrived v2; placed v2 k1 warm
		11  started c2 cold        => displaced v2 k1 warm; removed k1 platform; placed v2 k2 cold; started v2 k2
		12  ended c2               => ended v2 k2; idle k2`},
	{"but not one that became idle after the arrival", mirror.Options{Platform: own}, `
		0   started c1 cold        => arrived v1; placed v1 k1 cold; started v1 k1
		10  invoked c2             => arrived v2; placed v2 k2 cold
		10.5 ended c1              => ended v1 k1; idle k1
		11  started c2 cold        => started v2 k2`},
	{"a warm start shows one that was not known", mirror.Options{Platform: own}, `
		0   invoked c1             => arrived v1; placed v1 k1 cold
		0.1 started c1 warm        => starting k2 platform; idle k2; displaced v1 k1 cold; placed v1 k2 warm; started v1 k2; removed k1 platform
		1   ended c1               => ended v1 k2; idle k2`},
	{"which is the one whose end is heard of later", mirror.Options{Platform: own}, `
		0   started c1 cold        => arrived v1; placed v1 k1 cold; started v1 k1
		5   started c2 warm        => arrived v2; starting k2 platform; idle k2; placed v2 k2 warm; started v2 k2
		6   ended c1 at=4.5        => ended v1 k1 @5; removed k1 platform @5
		7   ended c2               => ended v2 k2; idle k2`},
	{"or is not, if it ended after", mirror.Options{Platform: own}, `
		0   started c1 cold        => arrived v1; placed v1 k1 cold; started v1 k1
		5   started c2 warm        => arrived v2; starting k2 platform; idle k2; placed v2 k2 warm; started v2 k2
		6   ended c1               => ended v1 k1; idle k1`},
	{"two arrive together: the other was warm", mirror.Options{Platform: own}, `
		0    ended c0 cold begin=-1 => arrived v1; placed v1 k1 cold; started v1 k1; ended v1 k1; idle k1
		9    invoked c1             => arrived v2; placed v2 k1 warm
		9.01 invoked c2             => arrived v3; placed v3 k2 cold
		9.1  started c2 warm        => displaced v3 k2 cold; displaced v2 k1 warm; placed v3 k1 warm; started v3 k1; placed v2 k2 cold
		10   started c1 cold        => started v2 k2`},
	{"two arrive together: the first was cold", mirror.Options{Platform: own}, `
		0    ended c0 cold begin=-1 => arrived v1; placed v1 k1 cold; started v1 k1; ended v1 k1; idle k1
		9    invoked c1             => arrived v2; placed v2 k1 warm
		9.01 invoked c2             => arrived v3; placed v3 k2 cold
		10   started c1 cold        => displaced v2 k1 warm; displaced v3 k2 cold; placed v2 k2 cold; started v2 k2; placed v3 k1 warm
		10.1 started c2 warm        => started v3 k1`},
	{"instances are the truth", mirror.Options{Platform: own}, `
		0   started c1 cold i=p    => arrived v1; placed v1 k1 cold; started v1 k1
		0   started c2 cold i=q    => arrived v2; placed v2 k2 cold; started v2 k2
		1   ended c1               => ended v1 k1; idle k1
		2   ended c2               => ended v2 k2; idle k2
		3   invoked c3             => arrived v3; placed v3 k2 warm
		4   started c3 warm i=p    => displaced v3 k2 warm; placed v3 k1 warm; started v3 k1
		5   ended c3               => ended v3 k1; idle k1
		602 pass                   => removed k2 platform
		605 pass                   => removed k1 platform`},
	{"a run in an instance ends the one before", mirror.Options{Platform: own}, `
		0   started c1 cold i=p    => arrived v1; placed v1 k1 cold; started v1 k1
		3   started c2 warm i=p    => arrived v2; ended v1 k1; idle k1; placed v2 k1 warm; started v2 k1
		4   ended c1 at=2          =>
		5   ended c2               => ended v2 k1; idle k1`},
	{"the finished span tells of another instance", mirror.Options{Platform: own}, `
		0   ended c0 cold i=p begin=-1 => arrived v1; placed v1 k1 cold; started v1 k1; ended v1 k1; idle k1
		1   invoked c1             => arrived v2; placed v2 k1 warm
		2   invoked c2             => arrived v3; placed v3 k2 cold
		3   started c2             => started v3 k2
		4   ended c2 i=p           => ended v3 k2; idle k2; removed k2 platform
		`},
	{"a warm start of an unfinished trace, learned after its end", mirror.Options{Platform: own}, `
		0   started c1 cold        => arrived v1; placed v1 k1 cold; started v1 k1
		3   ended c2 begin=2.5     => arrived v2 @2.5; placed v2 k2 cold @2.5; started v2 k2 @2.5; ended v2 k2; idle k2
		4   started c2 warm at=2.5 => removed k2 platform`},
	{"a container that was warmed", mirror.Options{Platform: own}, `
		0   warm 1                 => starting k1 policy
		1   result k1 created i=p asked=0 ready=0.9 => idle k1 @0.9
		2   invoked c1             => arrived v1; placed v1 k1 warm
		2.1 started c1 warm i=p    => started v1 k1
		3   ended c1 i=p           => ended v1 k1; idle k1
		603 pass                   => removed k1 platform`},
	{"warm-ups that come to nothing", mirror.Options{Platform: own}, `
		0   warm 4                 => starting k1 policy; starting k2 policy; starting k3 policy; starting k4 policy
		0   result k1 dry          => removed k1 platform
		1   result k2 failed       => removed k2 platform
		1   result k3 held         => removed k3 platform
		1   result k9 created      =>
		121 pass                   => removed k4 platform @120`},
	{"a warm-up of which nothing is known is ready after the usual time", mirror.Options{Platform: own}, `
		0   warm 1                 => starting k1 policy
		0.5 result k1 unknown      =>
		1   pass                   => idle k1
		601 pass                   => removed k1 platform`},
	{"a warm-up collapses onto an idle container, which lives longer", mirror.Options{Platform: own}, `
		0   ended c1 cold i=p begin=-1 => arrived v1; placed v1 k1 cold; started v1 k1; ended v1 k1; idle k1
		500 warm 1                 => starting k2 policy
		501 result k2 collapsed i=p ready=500.5 => removed k2 platform; renewed k1
		601 pass                   =>
		1101 pass                  => removed k1 platform @1100.5`},
	{"onto one that nothing is known of", mirror.Options{Platform: own}, `
		0   warm 1                 => starting k1 policy
		1   result k1 collapsed i=p => removed k1 platform; starting k2 platform; idle k2
		2   started c1 warm i=p    => arrived v1; placed v1 k2 warm; started v1 k2`},
	{"onto one whose end is not heard of yet", mirror.Options{Platform: own}, `
		0   started c1 cold i=p    => arrived v1; placed v1 k1 cold; started v1 k1
		5   warm 1                 => starting k2 policy
		6   result k2 collapsed i=p => removed k2 platform; ended v1 k1; idle k1
		7   ended c1 at=4          =>`},
	{"the platform gives an invocation its own container", mirror.Options{Platform: own}, `
		0   warm 1                 => starting k1 policy
		0.1 invoked c1             => arrived v1; placed v1 k2 cold
		1   result k1 created      => idle k1
		1.1 started c1 cold        => started v1 k2`},
	{"unless the warmed one was ready before", mirror.Options{Platform: own}, `
		0   warm 1                 => starting k1 policy
		0.9 invoked c1             => arrived v1; placed v1 k2 cold
		1   started c1 warm        => idle k1; displaced v1 k2 cold; placed v1 k1 warm; started v1 k1; removed k2 platform
		2   result k1 created      =>`},
	{"the platform gives it the one that is being started", mirror.Options{Platform: takes}, `
		0   warm 1                 => starting k1 policy
		0.1 invoked c1             => arrived v1; placed v1 k1 late
		1   result k1 created      =>
		1.1 started c1 warm        => started v1 k1
		2   ended c1               => ended v1 k1; idle k1`},
	{"which fails", mirror.Options{Platform: takes}, `
		0   warm 1                 => starting k1 policy
		0.1 invoked c1             => arrived v1; placed v1 k1 late
		1   result k1 failed       => displaced v1 k1 late; removed k1 platform; placed v1 k2 cold
		2   started c1 cold        => started v1 k2`},
	{"the warmed one has run something before its result came", mirror.Options{Platform: own}, `
		0   warm 1                 => starting k1 policy
		0.2 started c1 warm i=p    => arrived v1; starting k2 platform; idle k2; placed v1 k2 warm; started v1 k2
		0.5 result k1 created i=p  => removed k1 platform
		1   ended c1               => ended v1 k2; idle k2`},
	{"nothing comes of an announced invocation", mirror.Options{Platform: own}, `
		0    invoked c1            => arrived v1; placed v1 k1 cold
		120  pass                  => displaced v1 k1 cold; removed k1 platform; refused v1
		130  ended c1 cold         => arrived v1 @120; placed v1 k2 cold @120; started v1 k2; ended v1 k2; idle k2`},
	{"an end is lost", mirror.Options{Platform: own}, `
		0    started c1 cold       => arrived v1; placed v1 k1 cold; started v1 k1
		300  pass                  => ended v1 k1; idle k1
		600  pass                  => removed k1 platform`},
	{"memory: the least recently used makes room", mirror.Options{Platform: small}, `
		0   ended c1 f=a cold begin=-1 => arrived v1; placed v1 k1 cold; started v1 k1; ended v1 k1; idle k1
		5   ended c2 f=b cold begin=4  => arrived v2 @4; placed v2 k2 cold @4; started v2 k2 @4; ended v2 k2; idle k2
		9   invoked c3 f=c             => arrived v3; placed v3 k3 cold
		10  started c3 f=c cold        => started v3 k3; removed k1 eviction`},
	{"new code", mirror.Options{Platform: own}, `
		0   ended c1 cold begin=-1 version=1 => arrived v1; placed v1 k1 cold; started v1 k1; ended v1 k1; idle k1
		1   started c2 warm version=1  => arrived v2; placed v2 k1 warm; started v2 k1
		5   started c3 cold version=2  => arrived v3; placed v3 k2 cold; started v3 k2
		6   ended c2 version=1         => ended v2 k1; removed k1 platform
		7   ended c3 version=2         => ended v3 k2; idle k2
		8   ended c4 version=1 cold begin=4 => arrived v4 @7; placed v4 k3 cold @7; started v4 k3 @7; ended v4 k3; removed k3 platform`},
	{"versions of the platform's records are not those of spans", mirror.Options{Platform: own}, `
		0   ended act=x trace= cold begin=-1 version=0.0.3 => arrived v1; placed v1 k1 cold; started v1 k1; ended v1 k1; idle k1
		4   started c2 warm span=s version=1 => arrived v2; placed v2 k1 warm; started v2 k1
		5   ended c2 act=y version=0.0.3     => ended v2 k1; idle k1
		6   started c3 warm span=t version=1 => arrived v3; placed v3 k1 warm; started v3 k1
		7   started c4 cold span=u version=2 => arrived v4; placed v4 k2 cold; started v4 k2
		8   invoked c5 version=1             => arrived v5; placed v5 k3 cold`},
	{"a return to old code", mirror.Options{Platform: own}, `
		0   ended c1 cold begin=-1 version=1 => arrived v1; placed v1 k1 cold; started v1 k1; ended v1 k1; idle k1
		1   ended c2 cold begin=0.5 version=2 => removed k1 platform; arrived v2; placed v2 k2 cold; started v2 k2; ended v2 k2; idle k2
		70  started c3 cold version=1        => removed k2 platform; arrived v3; placed v3 k3 cold; started v3 k3`},
	{"new code while one is guessed to be in the old container", mirror.Options{Platform: own}, `
		0   ended c1 cold begin=-1 version=1 => arrived v1; placed v1 k1 cold; started v1 k1; ended v1 k1; idle k1
		4   invoked c2                 => arrived v2; placed v2 k1 warm
		5   started c3 cold version=2  => displaced v2 k1 warm; removed k1 platform; placed v2 k2 cold; arrived v3; placed v3 k3 cold; started v3 k3`},
	{"starts only", mirror.Options{Platform: starts}, `
		0   invoked c1             =>
		1   started c1 cold        => started v1 k1
		2   ended c1               => ended v1 k1; idle k1
		3   started c2 warm        => started v2 k1
		4   started c3 warm        => starting k2 platform; idle k2; started v3 k2
		5   ended c3               => ended v3 k2; idle k2
		6   warm 1                 => starting k3 policy`},
	{"records only: runs that overlap are in different containers", mirror.Options{Platform: own}, `
		9   ended act=x trace= warm begin=1 => arrived v1 @1; starting k1 platform @1; idle k1 @1; placed v1 k1 warm @1; started v1 k1 @1; ended v1 k1; idle k1
		10  ended act=y trace= warm begin=0 => arrived v2 @9; starting k2 platform @9; idle k2 @9; placed v2 k2 warm @9; started v2 k2 @9; ended v2 k2; idle k2`},
	{"replicas", replicas, `
		0   load 2 1               => starting k1 platform; starting k2 platform; idle k1
		1   invoked c1             => arrived v1; placed v1 k1 warm
		1   invoked c2             => arrived v2; placed v2 k1 warm
		1   invoked c3             => arrived v3
		2   started c1             => started v1 k1
		3   load 2 2               => idle k2
		4   started c3             => placed v3 k2 warm @3; started v3 k2
		5   load 1 1               => leaving k2
		6   ended c3               => ended v3 k2; removed k2 platform
		7   started c2             => started v2 k1
		8   ended c1               => ended v1 k1
		9   ended c2               => ended v2 k1; idle k1
		9000 pass                  =>
		9001 load 0 0              => removed k1 platform
		9002 scale 2               => starting k3 policy; starting k4 policy
		9003 load 2 0              =>
		9004 load 2 1              => idle k3
		9005 load -1 2             => idle k4`},
	{"replicas that run more than is known", mirror.Options{Platform: replicas.Platform, Replicas: true}, `
		0   load 1 1               => starting k1 platform; idle k1
		1   started c1 i=p         => arrived v1; placed v1 k1 warm; started v1 k1
		2   started c2 i=p         => arrived v2; placed v2 k1 warm; started v2 k1
		3   started c3             => arrived v3; placed v3 k1 warm; started v3 k1
		4   ended c1               => ended v1 k1
		4   invoked c4             => arrived v4; placed v4 k1 warm
		4   invoked c5             => arrived v5
		5   load 0 0               => leaving k1`},
	{"a restart", mirror.Options{Platform: own}, `
		0   ended c1 cold i=p begin=-1 => arrived v1; placed v1 k1 cold; started v1 k1; ended v1 k1; idle k1
		1   warm 1                 => starting k2 policy
		2   started c2 cold        => arrived v2; placed v2 k3 cold; started v2 k3
		3   invoked c3 f=b         => arrived v3; placed v3 k4 cold
		4   restart                => starting k1 platform @0; idle k1 @0; starting k2 policy @1; starting k3 platform @2; idle k3 @2; arrived v2 @2; placed v2 k3 warm @2; started v2 k3 @2; arrived v3 @3; placed v3 k4 cold @3
		5   ended c9 begin=2 at=2.5 =>
		5   ended c2               => ended v2 k3; idle k3
		6   result k2 created      => idle k2
		7   started c3 f=b cold    => started v3 k4
		8   ended c3 f=b           => ended v3 k4; idle k4
		700 restart                => starting k1 platform @0; idle k1 @0; starting k3 platform @5; idle k3 @5; starting k2 policy @6; idle k2 @6; starting k4 platform @8; idle k4 @8; removed k1 platform @600; removed k3 platform @605; removed k2 platform @606; removed k4 platform @608`},
}

func TestScenarios(t *testing.T) {
	for _, s := range scenarios {
		t.Run(s.name, func(t *testing.T) { run(t, s, func(*mirror.Mirror) {}) })
	}
}

// run runs a scenario, and calls look after each of its steps.
func run(t testing.TB, s scenario, look func(m *mirror.Mirror)) {
	t.Helper()
	if s.o.Functions == nil {
		s.o.Functions = []prewarm.Function{{Name: "a", MemoryMB: 256}, {Name: "b", MemoryMB: 256}}
	}
	s.o.Epoch = epoch
	f := follow(t, s.o)
	for _, line := range strings.Split(strings.TrimSpace(s.steps), "\n") {
		if strings.TrimSpace(line) == "" {
			continue
		}
		step, want, _ := strings.Cut(line, "=>")
		words := strings.Fields(step)
		now := seconds(t, words[0])
		before := len(f.told)
		if words[1] == "restart" {
			before = 0
		}
		if err := f.do(t, now, words[1:]); err != nil {
			t.Fatalf("%s: %v", step, err)
		}
		var got []string
		for _, e := range f.told[before:] {
			got = append(got, describe(e, now))
		}
		look(f.m)
		if text := strings.Join(got, "; "); text != strings.TrimSpace(want) {
			t.Errorf("%s\n got %s\nwant %s", strings.Join(words, " "), text, strings.TrimSpace(want))
		}
	}
	f.quiet()
}

func seconds(t testing.TB, text string) prewarm.Time {
	t.Helper()
	s, err := strconv.ParseFloat(text, 64)
	if err != nil {
		t.Fatal(err)
	}
	return time.Duration(s*1e6) * time.Microsecond
}

// describe returns an event as scenarios have it.
func describe(e prewarm.Event, now prewarm.Time) string {
	text := e.Kind.String()
	if e.Invocation > 0 {
		text += fmt.Sprintf(" v%d", e.Invocation)
	}
	if e.Parent > 0 && (e.Kind == prewarm.Arrived || e.Kind == prewarm.Placed || e.Kind == prewarm.Called) {
		text += fmt.Sprintf("<v%d", e.Parent)
	}
	if e.Container > 0 {
		text += fmt.Sprintf(" k%d", e.Container)
	}
	switch e.Kind {
	case prewarm.Placed, prewarm.Displaced:
		text += " " + e.Start.String()
	case prewarm.Starting, prewarm.Removed:
		text += " " + e.By.String()
	}
	if e.At != now {
		text += " @" + strconv.FormatFloat(e.At.Seconds(), 'g', -1, 64)
	}
	return text
}

// do does a step of a scenario.
func (f *follower) do(t testing.TB, now prewarm.Time, words []string) error {
	t.Helper()
	f.now = now
	number := func(i int) int {
		n, err := strconv.Atoi(strings.TrimPrefix(words[i], "k"))
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	switch words[0] {
	case "pass":
		f.take(f.m.Pass(now, nil))
		return nil
	case "restart":
		s := f.m.Snapshot()
		m, restored, err := mirror.Restore(f.options, s, now)
		if err != nil {
			return err
		}
		f.m, f.told, f.last = m, nil, 0
		f.newFleet()
		f.take(restored.Events)
		return nil
	case "warm":
		_, events := f.m.Warm(now, 0, number(1), nil)
		f.take(events)
		return nil
	case "scale":
		f.take(f.m.Scaled(now, 0, number(1), nil))
		return nil
	case "load":
		events, err := f.m.ObserveLoad(now, &source.Load{Function: "a", Replicas: float64(number(1)), Ready: float64(number(2))}, nil)
		f.take(events)
		return err
	case "result":
		r := actuator.Result{}
		for outcome := actuator.Created; outcome <= actuator.Unknown; outcome++ {
			if outcome.String() == words[2] {
				r.Outcome = outcome
			}
		}
		for _, w := range words[3:] {
			key, value, _ := strings.Cut(w, "=")
			switch key {
			case "i":
				r.Instance = value
			case "asked":
				r.Asked = epoch.Add(seconds(t, value))
			case "ready":
				r.Ready = epoch.Add(seconds(t, value))
			default:
				return errors.New("what is " + w)
			}
		}
		f.take(f.m.Warmed(now, prewarm.ID(number(1)), r, nil))
		return nil
	}
	o := source.Observation{Function: "a", Trace: "t", Time: epoch.Add(now), Wait: -1, Init: -1}
	for kind := source.Invoked; kind <= source.Ended; kind++ {
		if kind.String() == words[0] {
			o.Kind = kind
		}
	}
	for _, w := range words[1:] {
		key, value, is := strings.Cut(w, "=")
		switch key {
		case "cold":
			o.Temperature = source.Cold
		case "warm":
			o.Temperature = source.Warm
		case "f":
			o.Function = value
		case "trace":
			o.Trace = value
		case "parent":
			o.ParentCall = value
		case "span":
			o.Span = value
		case "parentspan":
			o.ParentSpan = value
		case "act":
			o.Activation = value
		case "i":
			o.Instance = value
		case "version":
			o.Version = value
		case "clock":
			o.Clock = value
		case "at":
			o.Time = epoch.Add(seconds(t, value))
		case "begin":
			o.Begin = epoch.Add(seconds(t, value))
		case "wait":
			o.Wait = seconds(t, value)
		default:
			if is {
				return errors.New("what is " + w)
			}
			o.Call = w
		}
	}
	return f.observe(now, o)
}
