"""media: files in and out; the only package that imports PyAV."""
