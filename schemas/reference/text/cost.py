import pyarrow as pa
facts = pa.ipc.open_stream(pa.input_stream(pa.py_buffer(value), compression="zstd")).read_all()
