"""The Discord surface: when to speak (`policy`), how it looks (`rendering`), the connection (`client`)."""
