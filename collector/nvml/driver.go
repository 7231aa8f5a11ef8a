package nvml

import "errors"

// A driver is the opened library.
type driver interface {
	// gpus are the devices of the node, in NVML's order. The list is the same
	// until close.
	gpus() []gpu
	// close ends the use of the library. No read may be under way.
	close()
}

// A gpu is one device with its MIG instances.
type gpu interface {
	// id is the device's UUID, model its product name.
	id() string
	model() string
	// read asks the device and its MIG instances, with their processes if
	// wanted. The device comes first. It takes as long as the driver does, which
	// may be for ever, and is not called again before it returned. An error says
	// that the device as a whole gives nothing, and wraps errLost when it is not
	// expected to without a person.
	read(processes bool) ([]reading, error)
}

// errLost is a device that fell off the bus or needs a reset.
var errLost = errors.New("the GPU is lost")

// errSilent is a device that answered every question with "not supported" or an
// error.
var errSilent = errors.New("the GPU reports nothing")
