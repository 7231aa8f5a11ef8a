import pyarrow as pa
events = pa.ipc.open_stream(pa.py_buffer(value)).read_all()
